"""The curves of a run: crosshair, zoom, smoothing, log axis, all charts, a study's children."""

import time
from pathlib import Path

import pytest

from fixed_home import FixedHome, training_events
from runs.presets import preset
from runs.spec import TrainSpec
from screen_driver import Home, Screen, covers, in_loop, into, opened
from tui.screens.panes.curves import CurvesPane, layout_of


@covers("curves.left", "curves.right", "curves.clear")
async def test_the_crosshair_reads_values(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "running")
        pane = run.query_one(CurvesPane)
        await screen.press("curves.right")
        assert "epoch 1" in screen.text
        await screen.press("curves.right")
        assert "epoch 2" in screen.text
        epochs = run.feed.trainings[0].snapshot.epochs
        second = next(event for event in epochs if event["epoch"] == 1)
        assert f"train {second['values']['train_loss']:.4g}" in screen.text
        await screen.press("curves.left")
        assert "epoch 1" in screen.text
        await screen.press("curves.clear")
        assert pane._cursor is None
        assert screen.name == "RunDetailScreen"
        await screen.press("escape")
        assert screen.name == "RunListScreen"
    return screen


@covers("curves.zoom-in", "curves.zoom-out", "curves.pan-left", "curves.pan-right", "curves.whole")
async def test_zoom_and_pan(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        run = await into(screen, fixed, "robust")
        await screen.press("1")
        pane = run.query_one(CurvesPane)
        await screen.press("curves.zoom-in")
        assert pane._window == pytest.approx((8.25, 22.75))
        await screen.press("curves.pan-left")
        assert pane._window == pytest.approx((4.625, 19.125))
        await screen.press("curves.pan-right")
        assert pane._window == pytest.approx((8.25, 22.75))
        await screen.press("curves.zoom-out")
        assert pane._window is None
        await screen.press("curves.zoom-in", "curves.whole")
        assert pane._window is None
    return screen


@covers("curves.log", "curves.smoother", "curves.rougher", "curves.axis", "curves.chart")
async def test_log_smoothing_axis_and_chart(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        await into(screen, fixed, "running")
        assert "accuracy %" in screen.text
        await screen.press("curves.chart")
        assert "loss" in screen.text
        await screen.press("curves.log")
        assert "loss log" in screen.text
        await screen.press("curves.smoother")
        assert "smoothed 0.5" in screen.text
        await screen.press("curves.rougher")
        assert "smoothed" not in screen.text
        assert "epoch " in screen.text.splitlines()[-2]
        await screen.press("curves.axis")
        assert "step " in screen.text.splitlines()[-2]
        await screen.press("curves.chart")
        assert "learning rate" in screen.text
    return screen


@in_loop
async def test_wide_screens_show_all_charts(fixed: Home) -> None:
    for size in ((120, 40), (200, 60)):
        async with opened(fixed.path, size) as screen:
            await into(screen, fixed, "running")
            for title in ("loss", "accuracy %", "learning rate"):
                assert title in screen.text
            # Beside them, where there is room, the other pages.
            assert ("no attack in this run" in screen.text) == (size == (200, 60))


def test_a_wider_or_higher_pane_never_shows_fewer_charts() -> None:
    for current in range(3):
        for width in range(20, 240):
            for height in range(5, 80):
                shown = layout_of(width, height, current).shown
                assert current in shown
                assert len(shown) <= len(layout_of(width + 1, height, current).shown)
                assert len(shown) <= len(layout_of(width, height + 1, current).shown)


TITLES = ("loss", "accuracy %", "learning rate")


@pytest.mark.parametrize("height", [24, 40, 44, 50])
@in_loop
async def test_widening_the_terminal_never_hides_a_chart(fixed: Home, height: int) -> None:
    async with opened(fixed.path, (60, height)) as screen:
        await into(screen, fixed, "running")
        before = 0
        for width in (60, 99, 104, 140, 175, 176, 180, 184, 188, 200):
            await screen.pilot.resize_terminal(width, height)
            await screen.settle()
            there = sum(title in screen.text for title in TITLES)
            assert there >= before, f"{width}x{height}"
            before = there


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@in_loop
async def test_a_study_and_a_comparison_name_all_curves_alike(fixed: Home, width: int) -> None:
    async with opened(fixed.path, (width, 40)) as screen:
        run = await into(screen, fixed, "study")
        await screen.press("1")
        rows = [" ".join(line.split()) for line in screen.text.splitlines()]
        assert any("clean ● baseline 62.9 ■ robust 36.0" in row for row in rows), screen.text
        assert any("robust ○ 0.0 □ 19." in row for row in rows), screen.text
        own = colours(run.query_one(CurvesPane))
        screen.app.open_comparison([fixed.ids["robust"], fixed.ids["baseline"]])
        await screen.settle()
        await screen.press("2")
        assert colours(screen.app.screen.query_one(CurvesPane)) == own


def colours(pane: CurvesPane) -> set[tuple[str, int, str]]:
    """Word, colour and marker of each accuracy that the pane shows."""
    return {
        (f"{line.run.split()[0]} {line.group}", line.colour, line.marker)
        for line in pane._series["accuracy"]
    }


@in_loop
async def test_a_loss_over_decades_has_a_log_axis_until_the_user_says_otherwise(home: Path) -> None:
    spec = preset("poster").child("robust")
    assert isinstance(spec, TrainSpec)
    events = training_events(spec, 12)
    for event in events:
        if event.get("epoch") == 5 and event["kind"] == "metric":
            event["values"]["train_loss"] = 40_000.0
    shown = FixedHome(home, time.time()).run(spec, 900, "dd01", events=events)
    async with opened(home, (80, 24)) as screen:
        screen.app.open_run(shown)
        await screen.settle()
        await screen.press("1", "curves.chart")  # a lost run opens with its log
        assert "loss log ↑ to 40k" in screen.text
        await screen.press("curves.log")
        assert "loss ↑ to 40k" in screen.text
        assert sum("⠀" < max(line, default=" ") <= "⣿" for line in screen.text.splitlines()) > 5
        await screen.press("curves.log")
        assert "loss log" in screen.text


@in_loop
async def test_a_live_studys_child_is_there_in_its_first_epoch(home: Path) -> None:
    poster, fixed = preset("poster"), FixedHome(home, time.time())
    base, robust = poster.child("baseline"), poster.child("robust")
    assert isinstance(base, TrainSpec)
    assert isinstance(robust, TrainSpec)
    beat = {"kind": "heartbeat", "stalled_s": 0.1}
    study = fixed.run(poster, 300, "ee01", events=[{"t": 299.0, **beat}])
    done = training_events(base, base.epochs, 8.0)
    result = {"state": "completed", "seconds": 240.0}
    fixed.run(base, 299, "ee02", parent=study, role="baseline", events=done, result=result)
    first = [e for e in training_events(robust, 1, 30.0) if e.get("every") != "epoch"]
    first = [e for e in first if e["kind"] != "checkpoint"]
    first.append({"t": 39.0, **beat})
    fixed.run(robust, 40, "ee03", parent=study, role="robust", events=first)
    async with opened(home, (120, 40)) as screen:
        screen.app.open_run(study)
        await screen.settle()
        await screen.press("1")
        for _ in range(2):
            assert "◧ robust" in screen.text, screen.text
            await screen.press("curves.axis")
