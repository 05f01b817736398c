"""The page of a table: it fills while a run is at work, and its notes are folded."""

import json
import re
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from fixed_home import add_eps_curve
from recorded_attacks import recorded_attacks
from recorded_study import write_study
from runs.results import compare
from runs.store import Run, Store
from screen_driver import Home, Screen, covers, in_loop, into, opened
from tui.commands.output import print_comparison
from tui.screens.run_detail import RunDetailScreen
from tui.settings import Settings
from tui.widgets.line_view import LineView
from tui.widgets.table_page import TablePage

STUDY, CURVE = recorded_attacks()


def write_attack(store: Store, events: list[Any], *, ago: float = 0.0) -> Run:
    """The recorded attack run in a home, after these events, the last one ``ago`` seconds ago."""
    run = store.create(STUDY.spec)
    now = time.time() - ago
    lines = [{**event, "t": now - events[-1]["t"] + event["t"]} for event in events]
    run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def halfway() -> list[Any]:
    """Until the third attack is at work."""
    ends = [n for n, event in enumerate(STUDY.events) if "cell" in event]
    return list(STUDY.events[: ends[1] + 4])


async def table_of(screen: Screen, run: Run) -> list[str]:
    screen.app.open_run(run.id)
    await screen.settle()
    await screen.press("run.page-table")
    return screen.app.screen.query_one("#table", TablePage).text.splitlines()


def row_of(lines: list[str], model: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(f"{model} ")]
    return line.removeprefix(model).split()


ORDER = ("at each ε/255", "robust accuracy %\n", "success %", "CIFAR-100, test split")
"""Overview, chart, rates and notes of a table with several ε."""


def places(text: str) -> list[int]:
    return [text.index(words) for words in ORDER]


@in_loop
async def test_several_eps_begin_with_an_overview(fixed: Home) -> None:
    ids = {**fixed.ids, "curve": add_eps_curve(fixed.path, fixed.ids)}
    for size in ((80, 24), (120, 40)):
        async with opened(fixed.path, size) as screen:
            lines = await table_of(screen, Run(fixed.path / "runs" / ids["curve"]))
            shown = "\n".join(lines)
            assert places(shown) == sorted(places(shown))
            assert (
                "Baseline     Targeted     61.9  61.9  31.8  16.3   4.3   0.3   0.0   0.0" in shown
            )
            assert "PGD-20, L∞, ε = 0 to 32/255, step 0.25 ε" in " ".join(shown.split())
            screen.app.open_comparison([ids["curve"]])
            await screen.settle()
            compared = screen.app.screen.query_one("#table", TablePage).text
            assert places(compared) == sorted(places(compared))


def test_the_command_prints_them_in_this_order(fixed: Home) -> None:
    curve = add_eps_curve(fixed.path, fixed.ids)
    console = Console(width=140, markup=False, highlight=False, emoji=False)
    with console.capture() as shown:
        print_comparison(console, compare(Store(fixed.path), [curve]))
    printed = re.sub(" +\n", "\n", shown.get())
    assert places(printed) == sorted(places(printed))


@covers("table.notes")
async def test_the_notes_are_folded_under_a_key(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "study")
        await screen.press("run.page-table")
        page = run.query_one("#table", TablePage)
        assert "CIFAR-100, test split, n = 10000, seed 0; PGD-20, L∞, ε = 8/255" in screen.text
        assert "Wilson" not in page.text
        assert "i 3 more notes" in page.text
        await screen.press("table.notes")
        assert "Wilson" in page.text
        assert "targets: random" in page.text
        assert "i fewer notes" in page.text
        await screen.press("table.notes")
        assert "Wilson" not in page.text
    return screen


@in_loop
async def test_the_comparison_folds_its_notes_too(fixed: Home) -> None:
    async with opened(fixed.path, settings=Settings(keys={"table.notes": "f"})) as screen:
        screen.app.open_comparison([fixed.ids["study"]])
        await screen.settle()
        page = screen.app.screen.query_one("#table", TablePage)
        assert "f 3 more notes" in page.text  # the key as the user has set it
        await screen.press("f")
        assert "Wilson" in page.text


@in_loop
async def test_the_table_of_an_attack_fills_while_it_goes_on(home: Path) -> None:
    store = Store(home)
    run = write_attack(store, halfway())
    async with opened(home) as screen:
        lines = await table_of(screen, run)
        done, total = (halfway()[-1][key] for key in ("done", "total"))
        share = f"{100 * done / total:.0f}"
        assert row_of(lines, "Baseline") == [
            *("83.33", "79.1–86.8", "61.33", "55.7–66.7", "17.50", "13.9–21.8"),
            *("98.67", "96.6–99.5", "1.11", "0.4–2.8"),
        ]
        assert row_of(lines, "Best clean")[2:] == ["…", share, "%", "done", "·", "·"]
        assert row_of(lines, "Best robust") == ["·"] * 5
        rest = [{**e, "t": time.time()} for e in STUDY.events[len(halfway()) :]]
        with run.events_path.open("a") as stream:
            stream.write("".join(json.dumps(event) + "\n" for event in rest))
        shown = screen.app.screen
        assert isinstance(shown, RunDetailScreen)
        shown.tick()
        text = shown.query_one("#table", TablePage).text
        assert "done" not in text
        assert "18.89" in text


@in_loop
async def test_what_a_lost_attack_has_not_done_is_not_to_come(home: Path) -> None:
    run = write_attack(Store(home), halfway(), ago=600.0)
    async with opened(home) as screen:
        lines = await table_of(screen, run)
        assert row_of(lines, "Baseline")[4] == "17.50"
        assert row_of(lines, "Best clean")[2:] == ["–"] * 4
        assert row_of(lines, "Best robust") == ["–"] * 5


@in_loop
async def test_a_study_has_its_table_from_its_start(home: Path) -> None:
    study = write_study(Store(home), 25.0, time.time())["study"]
    async with opened(home) as screen:
        lines = await table_of(screen, study)
        for model in ("Baseline", "Best clean", "Best robust"):
            assert row_of(lines, model) == ["·"] * 5


@in_loop
async def test_the_table_beside_a_page_offers_no_key(fixed: Home) -> None:
    async with opened(fixed.path, size=(200, 60)) as screen:
        run = await into(screen, fixed, "study")
        await screen.press("run.page-curves")
        beside = run.query_one("#side-table", LineView).text
        assert "PGD-20" in beside
        assert "more notes" not in beside
