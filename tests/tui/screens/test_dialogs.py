"""Clicks on the answers of a dialog, and beside it."""

import pytest
from textual.widgets import Input

from screen_driver import Home, at, in_loop, opened


@in_loop
async def test_an_answer_with_a_key_is_clicked(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        stop = fixed.run("running").path / "stop"
        await screen.press("S")
        await screen.click("cancel", line="esc")
        assert screen.name == "RunListScreen"
        assert not stop.exists()
        await screen.press("S")
        await screen.click("Stop mixed at 4")  # the question is no answer
        assert screen.name == "Choose"
        await screen.click("y  stop")
        assert stop.exists()
        assert screen.name == "RunListScreen"


@in_loop
async def test_a_deletion_takes_two_clicks_on_the_answer(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "failed")
        await screen.press("D")
        await screen.click("move the whole run to the trash")
        assert "▌ move the whole run to the trash" in screen.text
        assert screen.name == "Pick"
        await screen.click("cancel", line="  cancel ")
        assert screen.name == "RunListScreen"
        assert fixed.run("failed").path.exists()
        await screen.press("D")
        await screen.click("move the whole run to the trash")
        await screen.click("⏎ confirm")
        assert not fixed.run("failed").path.exists()
        await at(screen, fixed, "interrupted")
        await screen.press("D")
        await screen.click("move the whole run to the trash", times=2)
        assert not fixed.run("interrupted").path.exists()


@pytest.mark.parametrize(
    ("keys", "name"),
    [(("S",), "RunListScreen"), (("x",), "RunListScreen"), (("t",), "RunListScreen"),
     (("t", "a"), "Write"), (("j", "j", "j", "D"), "Pick")],
)  # fmt: skip
@in_loop
async def test_a_click_beside_a_dialog_closes_it_where_nothing_is_lost(
    fixed: Home, keys: tuple[str, ...], name: str
) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.press(*keys)
        assert screen.name not in ("RunListScreen", "Help")
        await screen.click_at(2, 3)
        assert screen.name == name


@in_loop
async def test_a_double_click_on_a_key_opens_its_dialog_and_leaves_it_open(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "running")
        await screen.click("S stop", times=2)
        assert screen.name == "Choose"


@in_loop
async def test_the_last_line_of_an_input_is_clicked(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await at(screen, fixed, "study")
        await screen.press("N")
        screen.app.screen.query_one(Input).value = "look"
        await screen.click("esc cancel")
        assert fixed.run("study").meta["note"] == "first complete study"
        await screen.press("N")
        screen.app.screen.query_one(Input).value = "look"
        await screen.click("⏎ keep")
        assert fixed.run("study").meta["note"] == "look"
