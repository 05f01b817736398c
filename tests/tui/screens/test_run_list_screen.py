"""The list of runs: cursor, folds, filter, order, marks."""

from typing import Any

import pytest
from textual.widgets import Input

from runs.jsonfiles import write_json
from runs.locks import FileLock
from screen_driver import Home, Screen, at, covers, current, in_loop, opened
from tui.run_list.filter import COLUMNS
from tui.widgets.run_list import RunList


@covers("list.down", "list.up", "list.first", "list.last", "list.page-down", "list.page-up")
async def test_moving_in_the_list(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        first = current(screen)
        assert first == fixed.ids["attacking"]
        await screen.press("list.down")
        assert current(screen) == fixed.ids["running"]
        await screen.press("list.up")
        assert current(screen) == first
        await screen.press("list.last")
        assert current(screen) == fixed.ids["lost"]
        await screen.press("list.first")
        assert current(screen) == first
        await screen.press("list.page-down")
        assert current(screen) == fixed.ids["lost"]
        await screen.press("list.page-up")
        assert current(screen) == first
    return screen


@covers("list.fold", "list.unfold")
async def test_a_study_folds_its_children_under_it(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        assert fixed.ids["robust"][-4:] not in screen.text
        await screen.press("list.unfold")
        rows = screen.lines
        place = next(n for n, line in enumerate(rows) if "▾ ✓ study" in line)
        assert [rows[place + n].split()[1] for n in (1, 2, 3)] == ["baseline", "robust", "attack"]
        await screen.press("list.down", "list.fold")  # from a child: its study folds
        assert current(screen) == fixed.ids["study"]
        assert "▸ ✓ study" in screen.text
    return screen


@in_loop
async def test_every_state_has_its_glyph_and_its_figures(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        text = screen.text
        for glyph in "◌●✓✗‖?":
            assert f" {glyph} " in text
        lines = text.splitlines()
        running = next(line for line in lines if "mixed at 4" in line)
        assert "7/20" in running
        assert "v " in running  # its figures are of the validation split
        study = next(line for line in lines if "✓ study" in line)
        assert "34.9 " in study  # the table's best robust row
        assert "19.9 " in study


@covers("runs.filter", "runs.clear")
async def test_filter_as_one_types(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("runs.filter", *"mode:robust")
        assert current(screen) != fixed.ids["queued"]
        assert fixed.ids["queued"] not in [row.id for row, _ in _shown(screen)]
        assert "runs hidden" in screen.text.splitlines()[0]
        await screen.press(*"zzz")
        assert _shown(screen) == []
        every = len(screen.app.state.feed.rows)
        assert f"no run matches, {every} runs hidden" in screen.text.splitlines()[0]
        await screen.press("enter")
        assert not screen.app.screen.query_one("#filter", Input).display
        await screen.press("enter", "space", "D", "t", "c")
        assert screen.name == "RunListScreen"  # without a run these keys do nothing
        await screen.press("runs.clear")
        assert len(_shown(screen)) == 7
        assert "hidden" not in screen.text
    return screen


def _shown(screen: Screen) -> Any:
    return screen.app.screen.query_one(RunList)._rows


@covers("runs.order", "runs.turn-order")
async def test_order_by_any_column(fixed: Home) -> Screen:
    async with opened(fixed.path, (200, 60)) as screen:
        for column in ("name", "state", "kind", "data", "progress", "clean", "robust", "took"):
            await screen.press("runs.order")
            assert f"by {column} ↓" in screen.text.splitlines()[0]
        before = [row.id for row, _ in _shown(screen)]
        await screen.press("runs.turn-order")
        assert "↑" in screen.text
        assert [row.id for row, _ in _shown(screen)] != before
        await screen.press("runs.turn-order", "runs.order")
        assert "age ↓" in screen.text
    return screen


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@in_loop
async def test_the_sign_of_the_order_is_never_lost(fixed: Home, width: int) -> None:
    async with opened(fixed.path, (width, 24)) as screen:
        for order in COLUMNS:
            runlist = screen.app.screen.query_one(RunList)
            head = runlist.render_line(0).text
            keys = [column.key for column in runlist._list_lines().columns]
            assert ("↓" in head) == (order in (*keys, "state"))
            assert order == "age" or f"by {order} ↓" in screen.text.splitlines()[0]
            await screen.press("runs.order")


@in_loop
async def test_the_head_counts_what_runs_and_what_waits(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        head = screen.text.splitlines()[0]
        assert "● 2 at work" in head
        assert "◌ 1 queued" in head


@covers("runs.mark", "runs.unmark", "runs.compare")
async def test_mark_and_compare(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("runs.mark")
        assert screen.app.state.marked == {fixed.ids["study"]}
        assert "1 marked" in screen.text
        await screen.press("runs.unmark")
        assert not screen.app.state.marked
        await at(screen, fixed, "study")
        await screen.press("runs.mark", "runs.compare")
        assert screen.name == "CompareScreen"
        assert "Best robust" in screen.text
    return screen


@covers("runs.open", "screen.back")
async def test_open_and_back(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press("runs.open")
        assert screen.name == "RunDetailScreen"
        await screen.press("screen.back")
        assert screen.name == "RunListScreen"
        assert current(screen) == fixed.ids["running"]
    return screen


@covers("runs.new", "new.back")
async def test_new_opens_the_form(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        await screen.press("runs.new")
        assert screen.name == "NewRunScreen"
        await screen.press("new.back")
        assert screen.name == "RunListScreen"
    return screen


@in_loop
async def test_a_run_with_a_warning_is_marked_in_the_list_and_quoted_beside_it(
    fixed: Home,
) -> None:
    run = fixed.run("study")
    warning = "robust: loss is 4.1e+08 in epoch 1, step 40"
    write_json(run.path / "result.json", {**(run.raw_result or {}), "warnings": [warning]})
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        assert "✓!study" in screen.text
        assert "! robust: loss is 4.1e+08" in screen.text


@in_loop
async def test_a_silent_run_whose_worker_lives_is_unresponsive_and_can_be_stopped(
    fixed: Home,
) -> None:
    run = fixed.run("lost")
    write_json(
        run.path / "launch.json", {"host": "gpu-7", "pid": 4242, "process_start": 1_795_400_000.0}
    )
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "lost")
        assert "last heard of on gpu-7" in screen.text
    with FileLock(run.lock_path):
        async with opened(fixed.path) as screen:
            await at(screen, fixed, "lost")
            assert "◎ 1 unresponsive" in screen.text
            assert "no sign of life for" in screen.text
            assert "process 4242" in screen.text
            await screen.press("run.stop", "y")
            assert "it is unresponsive" in screen.notices
    assert (run.path / "stop").exists()
