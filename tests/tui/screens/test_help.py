"""The help: every key of the screen behind it, filtered by what is typed."""

import pytest
from textual.widgets import Input

from screen_driver import SIZES, Home, Screen, covers, in_loop, into, opened
from tui.app import keys_of
from tui.screens.help import Help
from tui.widgets.line_view import LineView


def keys_view(screen: Screen) -> LineView:
    return screen.app.screen.query_one("#keys", LineView)


@covers("app.help", "help.down", "help.up", "help.page-down", "help.page-up")
async def test_it_scrolls_through_all_keys(fixed: Home) -> Screen:
    async with opened(fixed.path, (80, 24)) as screen:
        expected = keys_of(screen.app.screen)
        await screen.press("app.help")
        assert screen.name == "Help"
        seen = screen.text
        for _ in range(40):
            await screen.press("help.down")
            seen += screen.text
        for line in expected:
            assert line.text in seen
            assert line.id in seen
            assert line.keys.split()[0] in seen
        assert "double click" in seen
        await screen.press("help.up", "help.page-up")
        above = keys_view(screen).scroll_offset.y
        await screen.press("help.page-down")
        assert keys_view(screen).scroll_offset.y > above
        await screen.press("escape")
        assert screen.name == "RunListScreen"
    return screen


@in_loop
async def test_letters_go_to_the_filter(fixed: Home) -> None:
    async with opened(fixed.path, (80, 24)) as screen:
        await screen.press("question_mark", "down", "down", *"jkq?")
        assert screen.app.screen.query_one(Input).value == "jkq?"
        assert "no key matches" in screen.text
        await screen.press(*["backspace"] * 4, *"stop")
        assert [line.split() for line in keys_view(screen).text.splitlines() if line] == [
            ["Run"],
            ["S", "stop", "run.stop"],
        ]
        await screen.press(*["backspace"] * 4)
        assert "list.down" in screen.text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["list", "running", "new"])
@in_loop
async def test_it_has_room_at_every_size(fixed: Home, what: str, size: tuple[int, int]) -> None:
    async with opened(fixed.path, size) as screen:
        if what == "running":
            await into(screen, fixed, what)
        elif what == "new":
            await screen.press("n")
        await screen.press("question_mark")
        view = keys_view(screen)
        assert "…" not in view.text
        assert (view.text.splitlines()[0].split() != ["Move"]) == (size[0] >= 120)
        assert size == (80, 24) or view.max_scroll_y == 0  # nothing to scroll
        box = screen.app.screen.query_one(".box").region
        await screen.press(*"zzz")
        assert screen.app.screen.query_one(".box").region == box
        await screen.click_at(0, 0)
        assert not isinstance(screen.app.screen, Help)
