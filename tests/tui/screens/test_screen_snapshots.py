"""Every screen as a picture, at three sizes, from a home that never changes.

``ADVTUI_UPDATE_SNAPSHOTS=1 pytest tests/test_snapshots.py`` draws them anew; look at them before
they are committed (``.svgz``, which a browser opens).
"""

import asyncio
import gzip
import html
import os
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from fixed_home import NOW, add_eps_curve, build
from screen_driver import SIZES, Screen, opened
from tui.screens.compare import CompareScreen

FOLDER = Path(__file__).parent / "snapshots"
DRAWN_BY = FOLDER / "drawn_by.txt"
VERSIONS = f"textual {version('textual')}, rich {version('rich')}\n"

Ids = dict[str, str]
Steps = Callable[[Screen, Ids], Awaitable[None]]


def page(what: str, *keys: str) -> Steps:
    async def steps(screen: Screen, ids: Ids) -> None:
        screen.app.open_run(ids[what])
        await screen.settle()
        await screen.press(*keys)

    return steps


def keys(*names: str) -> Steps:
    async def steps(screen: Screen, _: Ids) -> None:
        await screen.press(*names)

    return steps


def comparison(*names: str) -> Steps:
    async def steps(screen: Screen, ids: Ids) -> None:
        screen.app.push_screen(CompareScreen([ids["study"], ids["robust"], ids["failed"]][:2]))
        await screen.settle()
        await screen.press(*names)

    return steps


SCREENS: dict[str, Steps] = {
    "runs": keys("j", "j", "j", "l", "space", "j"),
    "runs-filter": keys("slash", *"acc>30", "enter"),
    "run-curves": page("running"),
    "run-crosshair": page("robust", "1", *["l"] * 9, "y"),
    "run-attacks": page("attacking"),
    "run-table": page("study"),
    "run-examples": page("attack", "4"),
    "run-system": page("running", "5"),
    "run-log": page("failed"),
    "run-spec": page("robust", "7"),
    "run-eps": page("curve", "3", "G"),
    "compare-table": comparison("p"),
    "compare-curves": comparison("2"),
    "compare-specs": comparison("3"),
    "new": keys("n"),
    "help": keys("question_mark"),
    "delete": keys("G", "D"),
}


def text_of(svg: str) -> str:
    """The picture's text, a line each; what is compared where another Textual drew it."""
    lines: dict[str, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg):
        lines.setdefault(y, []).append((float(x), html.unescape(text)))
    rows = sorted(lines.items(), key=lambda item: float(item[0]))
    return "\n".join("".join(text for _, text in sorted(parts)) for _, parts in rows)


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
@pytest.mark.parametrize("name", list(SCREENS))
def test_the_screen_looks_as_it_did(
    name: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tui.screens.new_run.has_gpu", lambda: False)
    home = tmp_path / "advtui"
    ids = build(home)
    if name == "run-eps":  # in the others the list stays short
        ids["curve"] = add_eps_curve(home, ids)

    async def draw() -> str:
        async with opened(home, size, clock=lambda: NOW) as screen:
            await SCREENS[name](screen, ids)
            await screen.settle()
            return screen.app.export_screenshot(title="advtui")

    drawn = asyncio.run(draw())
    path = FOLDER / f"{name}-{size[0]}x{size[1]}.svgz"
    if os.environ.get("ADVTUI_UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(drawn.encode(), mtime=0))
        DRAWN_BY.write_text(VERSIONS)
        return
    kept = gzip.decompress(path.read_bytes()).decode()
    assert text_of(drawn) == text_of(kept)
    if DRAWN_BY.read_text() == VERSIONS:
        (tmp_path / path.with_suffix(".svg").name).write_text(drawn)
        assert drawn == kept, f"colours or styles differ: compare {tmp_path} with {path}"


def test_no_picture_is_left_over() -> None:
    expected = {f"{name}-{w}x{h}.svgz" for name in SCREENS for w, h in SIZES}
    assert {path.name for path in FOLDER.glob("*.svgz")} == expected
