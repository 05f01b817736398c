"""The foot of a screen: the keys that have an effect here and now, and clicks on them."""

import re
from pathlib import Path

import pytest
from textual.widgets import Input

from screen_driver import Home, at, in_loop, into, opened


def keys(foot: str) -> list[str]:
    """The keys of a foot, in their order."""
    return [hint.split()[0] for hint in re.split(r"\s{2,}", foot.strip())]


@in_loop
async def test_an_empty_home_has_three_keys(home: Path) -> None:
    async with opened(home, (200, 60)) as screen:
        assert screen.foot == " n new run  ? help  q leave"


@pytest.mark.parametrize(
    ("what", "has", "lacks"),
    [
        ("running", {"S"}, {"R", "D"}),
        ("interrupted", {"R", "D"}, {"S"}),
        ("study", {"D", "x"}, {"S", "R"}),
        ("lost", {"R", "D"}, {"S"}),
    ],
)
@in_loop
async def test_the_keys_of_a_runs_state(
    fixed: Home, what: str, has: set[str], lacks: set[str]
) -> None:
    async with opened(fixed.path, (200, 60)) as screen:
        await at(screen, fixed, what)
        assert has <= set(keys(screen.foot))
        assert not lacks & set(keys(screen.foot))
        await screen.press("enter")
        assert has <= set(keys(screen.foot))
        assert not lacks & set(keys(screen.foot))


@in_loop
async def test_keys_of_curves_and_pictures_stand_where_there_are_some(fixed: Home) -> None:
    async with opened(fixed.path, (200, 60)) as screen:
        await into(screen, fixed, "running")
        assert {"m", "e", "y"} <= set(keys(screen.foot))
        await screen.press("4")
        assert not {"m", "e", "y", "→", "v"} & set(keys(screen.foot))
        await screen.press("escape")
        await into(screen, fixed, "attack")
        await screen.press("1")
        assert not {"m", "e", "y", "S", "R"} & set(keys(screen.foot))
        await screen.press("4")
        assert {"→", "↓"} <= set(keys(screen.foot))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
@in_loop
async def test_the_order_is_the_same_at_every_run_and_width(fixed: Home, width: int) -> None:
    order = ["⏎", "n", "/", "space", "c", "x", "a", "S", "R", "t", "D", "o", "?", "q"]
    async with opened(fixed.path, (width, 30)) as screen:
        for what in ("queued", "running", "study", "failed", "lost"):
            await at(screen, fixed, what)
            assert keys(screen.foot) == [key for key in order if key in keys(screen.foot)]
            assert keys(screen.foot)[-2:] == ["?", "q"]


@in_loop
async def test_a_filter_that_hides_all_leaves_no_key_for_a_run(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("slash", *"zzz", "enter")
        assert screen.foot == " n new run  / filter  o order  esc clear filter  ? help  q leave"
        await screen.click("clear filter")
        assert "clear filter" not in screen.foot


@in_loop
async def test_with_marks_it_says_on_how_many_runs_a_key_acts(fixed: Home) -> None:
    async with opened(fixed.path, (200, 40)) as screen:
        for what in ("queued", "running", "failed"):
            await at(screen, fixed, what)
            await screen.press("space")
        assert screen.foot.startswith(
            " space mark  u unmark 3  c compare 3  x export 3  S stop 2  R resume 1  t"
        )
        assert "delete" not in screen.foot  # it refuses where one is live
        await screen.press("u")
        assert screen.foot.startswith(" ⏎ open  n new run  / filter  space mark  c compare  x")


@in_loop
async def test_a_click_does_what_the_key_does(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.click("n new run", line="q leave")
        assert screen.name == "NewRunScreen"
        await screen.click("esc back")
        assert screen.name == "RunListScreen"
        await screen.click("? help")
        assert screen.name == "Help"
        await screen.click("esc close")
        await screen.click("⏎ open")
        assert screen.name == "RunDetailScreen"
        await screen.click("esc back")
        await screen.click("/ filter")
        await screen.press(*"acc>30")
        await screen.click("⏎ keep the filter")
        assert not screen.app.screen.query_one("#filter", Input).display
        assert "/ acc>30" in screen.text.splitlines()[0]
        await screen.click("/ filter")
        await screen.click("esc clear it")
        assert "hidden" not in screen.text.splitlines()[0]
        x, y = screen.place("/ filter")
        await screen.click_at(x - 1, y)  # between two keys
        assert screen.name == "RunListScreen"
        await screen.click("q leave")
        assert not screen.app.is_running


@in_loop
async def test_the_form_offers_to_start_what_can_be_started(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        assert "^s start" in screen.foot
        form = screen.app.screen
        form.query_one("#field-eps Input", Input).value = "eight"
        await screen.settle()
        assert "start" not in screen.foot


@in_loop
async def test_a_text_field_takes_letters_and_f1_helps(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        await screen.press("n")
        assert "? help" in screen.foot
        await screen.press(*["down"] * 2)
        assert isinstance(screen.app.screen.focused, Input)
        assert not {"?", "q"} & set(keys(screen.foot))
        await screen.click("f1 help")
        assert screen.name == "Help"
