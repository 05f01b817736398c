"""The dashboard: the pane of the run under the cursor, the machine, and the bars in the list."""

import json
import re
import time
from pathlib import Path

import pytest
from live_study import add_live_study

from runs.events import EventWriter
from screen_driver import Home, Screen, at, covers, in_loop, opened
from tui.screens.panes.preview import Preview
from tui.widgets.line_view import LineView


def pane(screen: Screen) -> str:
    return screen.app.screen.query_one(Preview).text


@pytest.fixture
def fixed(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@in_loop
async def test_a_training_at_work_shows_its_accuracy_and_its_eta(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        assert "epoch 8/20" in pane(screen)
        assert "ETA 12 m 30 s" in pane(screen)
        assert "val robust 15.6" in pane(screen)
        assert "recipe      mixed" in pane(screen)


@in_loop
async def test_an_attack_at_work_shows_its_bars(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "attacking")
        (line,) = [text for text in pane(screen).splitlines() if "≥ 0.2 %" in text]
        assert line.startswith("Best clean   pgd-targeted")


@in_loop
async def test_a_study_that_has_ended_shows_its_table(fixed: Home) -> None:
    async with opened(fixed.path, (200, 60)) as screen:
        await at(screen, fixed, "study")
        robust = next(line for line in pane(screen).splitlines() if "Best robust" in line)
        assert robust.split()[2] == "34.90"


@in_loop
async def test_a_failed_run_shows_its_error_and_the_end_of_its_log(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "failed")
        words = " ".join(pane(screen).split())
        assert "the GPU has 80 the end of its log starting allocating CUDA" in words


@in_loop
async def test_the_pane_follows_a_run_as_it_works(fixed: Home) -> None:
    run = fixed.run("running")
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        chart = screen.app.screen.query_one(Preview)._chart[1]
        values: dict[str, float | None] = {"val_accuracy": 0.41, "val_robust_accuracy": 0.22}
        EventWriter(run.events_path).write(
            "metric", epoch=7, step=3000, every="epoch", values=values
        )
        await screen.settle()
        screen.app._tick()
        await screen.settle()
        assert "val robust 22.0" in pane(screen)
        again = screen.app.screen.query_one(Preview)._chart[1]
        assert again is not chart
        screen.app._tick()
        await screen.settle()
        assert screen.app.screen.query_one(Preview)._chart[1] is again, "no new epoch, no new chart"


@in_loop
async def test_moving_on_at_once_reads_the_last_run_only(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        preview = screen.app.screen.query_one(Preview)
        moment = time.time()
        screen.app.state.clock = lambda: moment
        await screen.press("G")
        assert preview._row is not None
        assert preview._row.id == fixed.ids["lost"]
        assert fixed.ids["lost"] in pane(screen)
        assert preview._feed is not None
        assert preview._feed.run.id == fixed.ids["lost"]


@in_loop
async def test_the_machine_at_work_has_a_panel_while_it_works(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.settle()
        screen.app._tick()
        await screen.settle()
        panel = screen.app.screen.query_one("#machine", LineView)
        assert panel.display
        assert "GPU 0" in panel.text
        assert "gpu-7" in screen.text
        result = json.dumps({"state": "interrupted", "seconds": 455.0})
        (fixed.run("running").path / "result.json").write_text(result)
        late = time.time() + 60
        screen.app.state.clock = lambda: late
        await screen.settle()
        screen.app._tick()
        await screen.settle()
        assert not panel.display
        assert "gpu-7" not in screen.text


@in_loop
async def test_a_narrow_screen_has_the_list_alone(fixed: Home) -> None:
    async with opened(fixed.path, (80, 24)) as screen:
        assert not screen.app.screen.query_one("#side").display
        assert "╭" not in screen.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@covers()
async def test_rows_at_work_have_a_bar(fixed: Home, size: tuple[int, int]) -> Screen:
    async with opened(fixed.path, size) as screen:
        (row,) = [line for line in screen.lines if "mixed at 4" in line and "7/20" in line]
        bar = row.partition("7/20")[0].split()[-1]
        assert set(bar) == {"━", "╌"}
        assert bar.count("━") / len(bar) == pytest.approx(7.5 / 20, abs=0.1)
        waiting = [line for line in screen.lines if "0/40" in line]
        assert waiting
        assert not any("╌" in line.partition("0/40")[0] for line in waiting)
    return screen


@in_loop
async def test_runs_at_work_stand_before_those_that_wait(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        order = [row.state for row, _ in screen.app.screen.query_one("#list")._rows]  # type: ignore[attr-defined]
        assert order[:4] == ["running", "running", "queued", "completed"]


@in_loop
async def test_a_study_at_work_shows_its_parts_and_one_eta(fixed: Home) -> None:
    ids = add_live_study(fixed.path, time.time())
    fixed.ids["night"] = ids["study"]
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "night")
        first, parts, *_ = pane(screen).splitlines()
        assert re.fullmatch(r"● running  study ETA \d+ m \d\d s", first)
        assert parts == "baseline ✓ ─ robust 13/30 ─ attacks ─ panel"
        assert "baseline 62.9" in pane(screen)
        screen.app.open_run(ids["study"])
        await screen.settle()
        assert "baseline ✓ ─ robust 13/30 ─ attacks ─ panel" in screen.lines


@in_loop
async def test_a_study_in_its_attacks_shows_their_bars(fixed: Home) -> None:
    fixed.ids["night"] = add_live_study(fixed.path, time.time(), at="attack")["study"]
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "night")
        assert "baseline ✓ ─ robust ✓ ─ attacks 3/6 ─ panel" in pane(screen)
        lines = [line.split() for line in pane(screen).splitlines()]
        assert any("≥" in line and "0.2" in line for line in lines), "the bars"
        assert ["Targeted", "92.25", "4.80"] in lines, "the table fills while attacks run"
        assert ["Targeted", "…", "34", "%", "done"] in lines
