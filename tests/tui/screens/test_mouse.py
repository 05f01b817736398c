"""The mouse in the list, in the charts and in the form."""

import pytest

from screen_driver import Home, Screen, at, covers, current, in_loop, into, opened
from tui.charts.plot import GUTTER
from tui.run_list.lines import LEAD
from tui.screens.new_run import NewRunScreen
from tui.screens.panes.curves import CurvesPane
from tui.screens.run_list import RunListScreen
from tui.widgets.chart import Chart
from tui.widgets.form import Choice
from tui.widgets.run_list import RunList


def head(screen: Screen) -> str:
    return screen.app.screen.query_one(RunList).render_line(0).text


def corner(screen: Screen) -> tuple[int, int]:
    """Column and line of the first cell of the list within its frame."""
    region = screen.app.screen.query_one(RunList).content_region
    return region.x, region.y


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@in_loop
async def test_a_click_on_a_head_sorts_and_another_one_turns_round(fixed: Home, width: int) -> None:
    async with opened(fixed.path, (width, 30)) as screen:
        shown = screen.app.screen
        assert isinstance(shown, RunListScreen)
        x, y = corner(screen)
        words = {"clean": "clean %", "robust": "robust %"}
        for column in ("name", "kind", "data", "clean", "robust", "progress", "took", "age"):
            word = words.get(column, column)
            if word.split()[0] not in head(screen):
                continue
            for arrow in "↓↑":
                if (shown._order, shown._turned) == (column, arrow == "↑"):
                    continue
                await screen.click_at(x + head(screen).index(word.split()[0]), y)
                assert arrow in head(screen)
                assert (shown._order, shown._turned) == (column, arrow == "↑")
        await screen.click_at(x + LEAD - 2, y)
        assert shown._order == "state"


@in_loop
async def test_a_triangle_folds_and_the_cells_left_of_it_mark(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        left, _ = corner(screen)
        await screen.click("▸", line="study")
        assert current(screen) == fixed.ids["study"]
        assert "▾ ✓ study" in screen.text
        await screen.click("▾", line="study")
        assert "▸ ✓ study" in screen.text
        for x, marked in ((0, {"study"}), (1, set())):
            _, y = screen.place("✓ study")
            await screen.click_at(left + x, y)
            assert screen.app.state.marked == {fixed.ids[what] for what in marked}
        _, y = screen.place("✗ robust")
        await screen.click_at(left + 1, y, times=2)  # twice in a row is no opening
        assert screen.name == "RunListScreen"
        assert not screen.app.state.marked
        await screen.click("✗ robust", times=2)
        assert screen.name == "RunDetailScreen"


@in_loop
async def test_the_wheel_scrolls_the_list(fixed: Home) -> None:
    async with opened(fixed.path, (80, 8)) as screen:

        def top() -> str:
            """Sign and name of the first line; what follows them has a clock."""
            return screen.text.splitlines()[2][:12]

        first = top()
        await screen.wheel(20, 4, -2)
        assert top() != first
        assert "name" in screen.text.splitlines()[1]  # the head stays
        await screen.wheel(20, 4, 4)
        assert top() == first


async def curves(screen: Screen, fixed: Home, what: str = "robust") -> CurvesPane:
    shown = await into(screen, fixed, what)
    await screen.press("1")
    return shown.query_one(CurvesPane)


def in_chart(pane: CurvesPane, share: float) -> tuple[int, int]:
    """A cell of the chart of the loss, in the middle of its height."""
    region = pane.query_one("#chart-loss", Chart).region
    return region.x + GUTTER + round(share * (region.width - GUTTER - 1)), region.center[
        1
    ].__int__()


@in_loop
async def test_a_click_in_a_chart_puts_the_crosshair_at_the_nearest_value(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        pane = await curves(screen, fixed)
        for share, epoch in ((0.0, 1), (0.5, 15), (1.0, 30)):
            await screen.click_at(*in_chart(pane, share))
            assert pane._cursor in (epoch, epoch + 1)
            assert f"epoch {pane._cursor:g}" in screen.text
        await screen.click_at(*in_chart(pane, 0.5), button=3)
        assert pane._cursor is None


@in_loop
async def test_the_wheel_zooms_where_the_mouse_is(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        pane = await curves(screen, fixed)
        chart = pane.query_one("#chart-loss", Chart)
        x, y = in_chart(pane, 0.25)
        before = chart._drawing.x_near(x - chart.region.x)
        await screen.wheel(x, y, 3)
        assert pane._window is not None
        assert pane._window[1] - pane._window[0] == pytest.approx(29 * 0.8**3)
        assert chart._drawing.x_near(x - chart.region.x) == pytest.approx(before)
        assert chart.scroll_offset.y == 0
        await screen.wheel(x, y, -4)
        assert pane._window is None
        await screen.wheel(x, y, 1)
        await screen.click_at(x, y, button=3)
        assert pane._window is None


@in_loop
async def test_a_click_in_the_legend_hides_a_line_and_shows_it_again(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        pane = await curves(screen, fixed, "study")
        await screen.click("baseline", line="clean")
        assert "– baseline" in screen.text
        visible = {(line.run, line.group) for line in pane._visible("accuracy")}
        assert visible == {("baseline", "robust"), ("robust", "clean"), ("robust", "robust")}
        await screen.click("– baseline")
        assert "– baseline" not in screen.text
        await screen.click("robust", line="○")
        assert {line.group for line in pane._visible("accuracy")} == {"clean"}


@covers("curves.lines")
async def test_a_key_shows_one_line_after_the_other_and_then_all(fixed: Home) -> Screen:
    async with opened(fixed.path) as screen:
        pane = await curves(screen, fixed)
        await screen.press("curves.chart", "curves.lines")
        assert "– val" in screen.text
        assert [line.label for line in pane._visible("loss")] == ["train"]
        assert len(pane._visible("accuracy")) == 3  # it acts on the current chart
        await screen.press("curves.lines")
        assert "– train" in screen.text
        await screen.press("curves.lines")
        assert "– " not in screen.text
    return screen


@in_loop
async def test_fields_and_choices_of_the_form_are_clicked(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        form = screen.app.screen
        assert isinstance(form, NewRunScreen)
        what = form._field("what").entry
        assert isinstance(what, Choice)
        await screen.click("›", line="kind of run")
        assert what.value == "train"
        await screen.click("‹", line="kind of run")
        assert what.value == "study"
        await screen.click("‹", line="kind of run")
        assert what.value == "attack"
        await screen.click("name", line="name ")
        assert form._field("name").entry.has_focus
        await screen.press(*"night")
        assert form.request().flags == {"name": "night"}
        chosen = form._field("attacks").entry
        assert chosen.value == "pgd-targeted pgd-untargeted"
        await screen.click("✓ pgd-targeted")
        assert chosen.value == "pgd-untargeted"
        await screen.click("›", line="Space chooses")
        await screen.click("›", line="Space chooses")
        await screen.click("·", line="Space chooses")
        assert len(chosen.value.split()) == 2


@in_loop
async def test_a_click_moves_the_cursor_and_the_keys_act_there(fixed: Home) -> None:
    async with opened(fixed.path, (200, 40)) as screen:
        await at(screen, fixed, "study")
        await screen.click("mixed at 4", line="●")
        assert current(screen) == fixed.ids["running"]
        assert "S stop" in screen.foot
