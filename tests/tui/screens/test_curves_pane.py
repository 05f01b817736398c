"""The curves of a run: crosshair, zoom, smoothing, log axis, all charts."""

import pytest

from screen_driver import Home, Screen, covers, in_loop, into, opened
from tui.screens.panes.curves import CurvesPane


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
        assert "accuracy %" in screen.text
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
