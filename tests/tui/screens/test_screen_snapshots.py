"""Every screen as a picture, at three sizes, from a home that never changes.

``ADVTUI_UPDATE_SNAPSHOTS=1 pytest tests/tui/screens/test_screen_snapshots.py`` draws them anew.
Open the changed ``.svg`` files in a browser before you commit them; ``git diff`` shows which texts,
colours and backgrounds changed.

pytest-textual-snapshot is not used. It needs syrupy 4.8.0, which excludes pytest 9. It compares the
whole SVG, so another version of Textual or Rich fails every picture; here the text is always
compared, and the style where the versions are those that drew the pictures. It waits for messages,
not for the slices in which the app reads the home, and is not faster (0.3 s a picture for both).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from live_study import Phase, add_live_study

from fixed_home import NOW, add_eps_curve, build
from screen_driver import SIZES, Screen, opened
from svg_snapshot import plain_svg, text_of

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
        screen.app.open_comparison([ids["study"], ids["robust"], ids["failed"]][:2])
        await screen.settle()
        await screen.press(*names)

    return steps


SCREENS: dict[str, Steps] = {
    "dashboard": keys("j", "j"),
    "runs": keys("j", "j", "j", "l", "space", "j"),
    "runs-filter": keys("slash", *"acc>30", "enter"),
    "run-study": page("night"),
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


LIVE_STUDY: dict[str, Phase] = {"dashboard": "attack", "run-study": "robust"}
"""The pictures with a study at work, and what it does."""


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
@pytest.mark.parametrize("name", list(SCREENS))
def test_the_screen_looks_as_it_did(
    name: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tui.spec_from_flags.has_gpu", lambda: False)
    home = tmp_path / "advtui"
    ids = build(home)
    if name == "run-eps":  # in the others the list stays short
        ids["curve"] = add_eps_curve(home, ids)
    if name in LIVE_STUDY:
        ids["night"] = add_live_study(home, at=LIVE_STUDY[name])["study"]

    async def draw() -> str:
        async with opened(home, size, clock=lambda: NOW) as screen:
            await SCREENS[name](screen, ids)
            await screen.settle()
            return plain_svg(screen.app.export_screenshot(title="advtui"))

    drawn = asyncio.run(draw())
    path = FOLDER / f"{name}-{size[0]}x{size[1]}.svg"
    if os.environ.get("ADVTUI_UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(drawn, encoding="utf-8")
        DRAWN_BY.write_text(VERSIONS)
        return
    kept = path.read_text(encoding="utf-8")
    assert text_of(drawn) == text_of(kept)
    if DRAWN_BY.read_text() == VERSIONS:
        (tmp_path / path.name).write_text(drawn, encoding="utf-8")
        assert drawn == kept, f"colours or styles differ: compare {tmp_path} with {path}"


def test_no_picture_is_left_over() -> None:
    expected = {f"{name}-{w}x{h}.svg" for name in SCREENS for w, h in SIZES}
    assert {path.name for path in FOLDER.glob("*.svg")} == expected
