"""Names, logs and files of somebody else's: nothing is executed, nothing crashes."""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from fixed_home import NOW, FixedHome, build, training_events
from runs.presets import preset
from runs.spec import TrainSpec
from runs.store import Run
from screen_driver import SIZES, Screen, in_loop, opened

HOSTILE = (
    "[/foo]",
    "[@click=app.quit]leave[/]",
    "\x1b]52;c;aGFja2Vk\x07",
    "\x1b[2J\x1b[31m",
    "‮evil‬​",
    "x" * 10_000,
    "line\nbreak\rreturn\ttab",
    "é😀漢字" * 40,
    "{not} %s $(touch /tmp/x)",
)


async def through_every_page(screen: Screen, run_id: str) -> None:
    screen.app.open_run(run_id)
    await screen.settle()
    for page in "1234567":
        await screen.press(page)
        assert "\x1b" not in screen.text
        assert "‮" not in screen.text
    await screen.press("escape")


EACH = [pytest.param(text, marks=pytest.mark.slow, id=str(n)) for n, text in enumerate(HOSTILE)]


@pytest.mark.parametrize("text", [pytest.param("".join(HOSTILE), id="all"), *EACH])
def test_hostile_words_everywhere(home: Path, text: str) -> None:
    fixed = FixedHome(home, time.time())
    spec = preset("demo").child("robust").model_copy(update={"name": text})
    assert isinstance(spec, TrainSpec)
    events = training_events(spec, 2)
    events.append({"t": 125.0, "kind": "log", "level": "warning", "message": text})
    events.append({"t": 126.0, "kind": "attack", "model": text, "attack": text, "done": 1,
                   "total": 3, "successes": 1, "rate": 2.0})  # fmt: skip
    result = {"state": "failed", "seconds": 1.0, "error": {"message": text, "exit_code": 1}}
    run_id = fixed.run(
        spec, 100, "dead", events=events, result=result, log=text, tags=[text], note=text
    )

    async def look() -> None:
        async with opened(home, (200, 60)) as screen:
            assert "\x1b" not in screen.text
            await through_every_page(screen, run_id)
            await screen.press("slash", *"foo", "enter", "escape", "u")
            for keys in (("t",), ("N",), ("D",), ("S",), ("x", "m"), ("space", "c")):
                await screen.press(*keys)
                assert "\x1b" not in screen.text
                for page in "123" if keys[-1] == "c" else "":
                    await screen.press(page)
                    assert "\x1b" not in screen.text
                while screen.name != "RunListScreen":
                    await screen.press("escape")
            assert screen.name == "RunListScreen"

    asyncio.run(look())


def copies(home: Path, run_id: str, n: int) -> list[Run]:
    """``n`` more runs with the files of one."""
    made = [home / "runs" / f"{run_id[:-4]}{number:04d}" for number in range(n)]
    for path in made:
        shutil.copytree(home / "runs" / run_id, path)
    return [Run(path) for path in made]


@in_loop
async def test_a_log_that_is_not_utf8(home: Path) -> None:
    ids = build(home, time.time())
    run = Run(home / "runs" / ids["failed"])
    run.log_path.write_bytes(b"\xff\xfe\x00\x1b[31mred\n" + b"y" * 50_000 + b"\nlast line\n")
    async with opened(home) as screen:
        await through_every_page(screen, run.id)


FOREIGN_EVENTS = (
    b"",
    b"\x00\x01\x02" * 100,
    b"not json\n[1, 2]\n3\nnull\n",
    b'{"v": 1, "t": NOW, "kind": "metric"}\n',
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": "x", "step": null, "values": 3}\n',
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": 1, "step": 1, "every": "epoch", '
    b'"values": {"train_loss": "high", "val_accuracy": [1], "val_robust_accuracy": NaN}}\n',
    b'{"v": 1, "t": NOW, "kind": "attack", "model": 1}\n',
    b'{"v": 1, "t": NOW, "kind": "progress", "task": "train", "done": 1, "total": 0}\n',
    b'{"v": 1, "t": NOW, "kind": "progress", "task": "x", "done": 1, "total": 2, "epoch": "y", '
    b'"epochs": "z", "rate": "fast"}\n',
    b'{"v": 1, "t": NOW, "kind": "started", "resumed_from": 7, "versions": 3}\n',
    b'{"v": 1, "t": NOW, "kind": "log"}\n{"v": 1, "t": NOW, "kind": "log", "level": [1], '
    b'"message": {"a": "[/x]\\u001b[31m"}}\n',
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": 1, "step": 1, "values": {}}\n'
    b'{"v": 1, "t": NOW, "kind": "started", "resumed_from": {"step": "x"}}\n',
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": 100000000000000000, "step": 1, '
    b'"every": "epoch", "values": {"train_loss": 1}}\n'
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": 100000000000000016, "step": 2, '
    b'"every": "epoch", "values": {"train_loss": 2}}\n',
    b'{"v": 1, "t": NOW, "kind": "system", "gpus": [1, {"index": []}], "cpu_percent": "all"}\n',
    b'{"v": 1, "t": NOW, "kind": "heartbeat", "stalled_s": "long", "phase": 3}\n',
    b'{"v": 1, "t": NOW, "kind": "child", "run": "../..", "role": "x", "state": "y"}\n',
    b'{"v": 1, "t": 1e308, "kind": "checkpoint", "name": "best_clean", "epoch": 1, "step": 2}\n',
    b'{"v": 1, "t": NOW, "kind": "metric", "epoch": 1, "ste',
    b"[" * 100_000 + b"\n",
)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["running", "attacking", "study"])
@in_loop
async def test_foreign_events(home: Path, what: str) -> None:
    ids = build(home, time.time())
    now = str(time.time()).encode()
    foreign = copies(home, ids[what], len(FOREIGN_EVENTS))
    for run, events in zip(foreign, FOREIGN_EVENTS, strict=True):
        run.events_path.write_bytes(events.replace(b"NOW", now))
    async with opened(home, (80, 24), foreign=True) as screen:
        for run in foreign:
            assert run.id in screen.app.state.feed.rows
            await through_every_page(screen, run.id)
            assert not screen.app.unhandled_errors, run.events_path.read_bytes()


FOREIGN_FILES: tuple[tuple[str, Any], ...] = (
    ("spec.json", {}),
    ("spec.json", {"kind": ["x"], "name": {"a": 1}, "mode": 3, "epochs": "many", "attacks": 7}),
    ("spec.json", {"kind": "train", "epochs": None, "run": {"created": "now", "parent": 3}}),
    ("spec.json", {"kind": "attack", "checkpoints": [3, {"label": None}], "attacks": [{}, 1]}),
    ("spec.json", {"kind": "train", "run": {"created": 10**400}}),
    ("spec.json", {"kind": "train", "run": {"created": 1e999}}),
    ("spec.json", {"kind": "study", "attack": {"attacks": 3}, "baseline": 4}),
    ("result.json", {"state": "completed"}),
    ("result.json", {"state": "completed", "rows": [{}], "threat_model": {}, "sanity": [{}]}),
    ("result.json", {"state": "completed", "rows": 3, "checkpoints": {"last": 3}}),
    ("result.json", {"state": "dancing", "error": "none"}),
    ("result.json", {"state": "failed", "seconds": 1e999, "last": {"val_accuracy": [1]}}),
    ("meta.json", {"tags": "x", "note": 3}),
    ("meta.json", {"tags": [[1], None]}),
    ("launch.json", {"pid": "me"}),
)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["robust", "attack", "study"])
@in_loop
async def test_foreign_files(home: Path, what: str) -> None:
    ids = build(home, time.time())
    foreign = copies(home, ids[what], len(FOREIGN_FILES))
    for run, (name, content) in zip(foreign, FOREIGN_FILES, strict=True):
        (run.path / name).write_text(json.dumps(content))
    async with opened(home, (200, 60), foreign=True) as screen:
        for _ in screen.app.state.feed.rows:  # their previews as well
            await screen.press("j")
        for run, case in zip(foreign, FOREIGN_FILES, strict=True):
            await through_every_page(screen, run.id)
            screen.app.open_comparison([run.id, ids["study"]])
            await screen.settle()
            await screen.press("2", "3", "1", "escape")
            assert not screen.app.unhandled_errors, case


@in_loop
async def test_pictures_that_are_none(home: Path) -> None:
    ids = build(home, time.time())
    path = home / "runs" / ids["attack"] / "examples.npz"
    good = path.read_bytes()
    for content in (b"", b"PK\x03\x04 not a zip", good[: len(good) // 2]):
        path.write_bytes(content)
        async with opened(home) as screen:
            screen.app.open_run(ids["attack"])
            await screen.settle()
            await screen.press("4", "right", "v")
            assert "can't be read" in screen.words


@in_loop
async def test_a_home_that_disappears_and_returns(home: Path) -> None:
    ids = build(home, time.time())
    async with opened(home) as screen:
        screen.app.open_run(ids["running"])
        await screen.settle()
        home.rename(home.with_name("away"))
        for page in "1234567":
            await screen.press(page)
        screen.app._tick()
        await screen.press("t", *"x", "enter", "C", "x", "m", "escape")
        assert "is gone" in screen.text
        home.with_name("away").rename(home)
        await screen.settle()
        screen.app._follow_home()
        await screen.settle()
        assert "is gone" not in screen.text.splitlines()[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
@in_loop
async def test_a_home_that_is_read_only(home: Path) -> None:
    ids = build(home, time.time())
    folder = home / "runs" / ids["failed"]
    folder.chmod(0o500)
    try:
        async with opened(home) as screen:
            screen.app.open_run(ids["failed"])
            await screen.settle()
            await screen.press("t", *"x", "enter")
            assert "can't be written" in screen.notices
    finally:
        folder.chmod(0o700)


@in_loop
async def test_a_run_deleted_under_ones_eyes(home: Path) -> None:
    ids = build(home, time.time())
    async with opened(home) as screen:
        screen.app.open_run(ids["study"])
        await screen.settle()
        shutil.rmtree(home / "runs" / ids["study"])
        for page in "1234567":
            await screen.press(page)
        await screen.press("x", "m", "t", "escape", "escape")
        assert screen.name == "RunListScreen"


@in_loop
async def test_two_screens_on_one_home(home: Path) -> None:
    ids = build(home, time.time())
    async with opened(home) as one:
        async with opened(home) as other:
            other.app.open_run(ids["failed"])
            await other.settle()
            await other.press("D", "down", "enter")
            assert ids["failed"] not in [path.name for path in (home / "runs").iterdir()]
        await one.settle()
        one.app._follow_home()
        await one.settle()
        assert ids["failed"] not in one.app.state.feed.rows


@pytest.mark.parametrize("what", ["list", "running", "study", "attack", "new", "compare", "help"])
def test_resized_to_nothing_and_back(home: Path, what: str) -> None:
    ids = build(home)

    async def look() -> None:
        async with opened(home, clock=lambda: NOW) as screen:
            if what in ids:
                screen.app.open_run(ids[what])
            elif what == "new":
                await screen.press("n")
            elif what == "compare":
                screen.app.open_comparison([ids["study"], ids["robust"]])
            elif what == "help":
                await screen.press("question_mark")
            await screen.settle()
            before = screen.text if what not in ("running", "list") else ""
            for size in ((20, 5), (1, 1), (300, 10), (40, 100), *SIZES, (120, 40)):
                await screen.pilot.resize_terminal(*size)
                await screen.settle()
                if what in ids and size not in SIZES:
                    for page in "1234567":
                        await screen.press(page)
            if before and what not in ids:
                assert screen.text == before

    asyncio.run(look())


@in_loop
async def test_a_name_cannot_name_an_action(home: Path) -> None:
    """A click on ``[@click=app.quit]`` is a click on text."""
    fixed = FixedHome(home, time.time())
    spec = preset("demo").child("robust").model_copy(update={"name": "[@click=app.quit]go[/]"})
    fixed.run(spec, 10, "dead")
    async with opened(home) as screen:
        for x in range(4, 40, 6):
            await screen.pilot.click(offset=(x, 2))
        await screen.settle()
        assert screen.app.is_running
        assert "[@click=app.quit]go[/]" in screen.text
