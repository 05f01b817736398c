"""The app around all screens: help, keys, settings, themes, notices, errors."""

import asyncio
import json
import runpy
from pathlib import Path

import pytest

from screen_driver import COVERED, Home, in_loop, into, opened
from tui.app import AdvtuiApp
from tui.screens.base import AppScreen
from tui.screens.compare import CompareScreen
from tui.screens.dialogs import Choose, Dialog, Pick, Write
from tui.screens.help import Help
from tui.screens.new_run import NewRunScreen
from tui.screens.panes.curves import CurvesPane
from tui.screens.panes.examples import ExamplesPane
from tui.screens.run_actions import RunActions
from tui.screens.run_detail import RunDetailScreen
from tui.screens.run_list import RunListScreen
from tui.settings import Settings
from tui.widgets.form import Choice, MultiChoice
from tui.widgets.run_list import RunList
from tui.widgets.scroll_page import ScrollPage
from tui.widgets.tab_line import TabLine


def test_every_key_of_every_screen_is_pressed_by_some_test() -> None:
    for path in Path(__file__).parent.rglob("test_*.py"):
        if path != Path(__file__):  # this file may run alone: the others fill COVERED when imported
            runpy.run_path(str(path))
    ids = set()
    for owner in (
        *(
            AdvtuiApp,
            RunListScreen,
            RunDetailScreen,
            CompareScreen,
            NewRunScreen,
            Help,
            Write,
            Choose,
            Pick,
        ),
        *(RunList, CurvesPane, ExamplesPane, ScrollPage, Choice, MultiChoice),
    ):
        for base in owner.__mro__:
            for binding in base.__dict__.get("BINDINGS", ()):
                if base.__module__.startswith("tui."):
                    assert binding.id, f"{base.__name__} binds {binding.key} without an id"
                    assert binding.description
                    ids.add(binding.id)
    assert ids - COVERED == {"app.leave"}  # pressed where a real terminal is left


def test_no_two_bindings_share_an_id() -> None:
    owners = (
        *(
            AdvtuiApp,
            AppScreen,
            RunActions,
            RunListScreen,
            RunDetailScreen,
            CompareScreen,
            NewRunScreen,
        ),
        *(Dialog, Help, Pick, RunList, CurvesPane, ExamplesPane, ScrollPage, Choice, MultiChoice),
    )
    ids = [binding.id for owner in owners for binding in owner.__dict__["BINDINGS"]]
    assert len(ids) == len(set(ids))


@in_loop
async def test_keys_and_theme_from_the_settings(fixed: Home) -> None:
    settings = Settings(theme="advtui-light", keys={"runs.new": "ctrl+n"})
    async with opened(fixed.path, settings=settings) as screen:
        assert screen.app.theme == "advtui-light"
        await screen.press("n")
        assert screen.name == "RunListScreen"
        await screen.press("ctrl+n")
        assert screen.name == "NewRunScreen"


@in_loop
async def test_settings_that_cannot_be_used_are_told(fixed: Home) -> None:
    settings = Settings(theme="no such", problem="config.toml: unknown setting 'x'")
    async with opened(fixed.path, settings=settings) as screen:
        assert "unknown theme" in screen.notices
        assert "unknown setting" in screen.notices


@pytest.mark.parametrize("theme", ["advtui-dark", "advtui-light", "advtui-plain", "ansi-dark"])
def test_every_theme_draws_every_screen(fixed: Home, theme: str) -> None:
    async def look() -> None:
        async with opened(fixed.path, settings=Settings(theme=theme)) as screen:
            await into(screen, fixed, "study")
            for page in "1234567":
                await screen.press(page)
            await screen.press("escape", "n", "escape", "c", "escape", "question_mark")

    asyncio.run(look())


@in_loop
async def test_the_palette_offers_keys_and_themes(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        titles = {
            command.title: command for command in screen.app.get_system_commands(screen.app.screen)
        }
        assert "New run" in titles
        titles["Theme advtui-light"].callback()
        await screen.settle()
        assert screen.app.theme == "advtui-light"
        titles["New run"].callback()
        await screen.settle()
        assert screen.name == "NewRunScreen"


@in_loop
async def test_the_palette_names_each_key_once_and_none_is_empty(fixed: Home) -> None:
    async with opened(fixed.path) as screen:
        for open_screen in ("", "n", "escape"):
            await screen.press(*([open_screen] if open_screen else []))
            commands = list(screen.app.get_system_commands(screen.app.screen))
            titles = [command.title for command in commands]
            assert len(titles) == len(set(titles))
            helps = [command.help for command in commands]
            assert not [text for text in helps if text.startswith(" ") or "None" in text]
            assert not [text for text in helps if text.startswith("·")]
        helps = [command.help for command in screen.app.get_system_commands(screen.app.screen)]
        assert any(text.endswith("· list.unfold") and "→ l" in text for text in helps)


@in_loop
async def test_an_empty_home_says_how_to_begin(home: Path) -> None:
    async with opened(home) as screen:
        assert "No runs yet" in screen.text
        assert "advtui study --preset demo" in screen.text
        await screen.press("enter", "D", "S", "c", "x", "t")
        assert screen.name == "RunListScreen"


@in_loop
async def test_a_run_that_ends_elsewhere_is_told(fixed: Home) -> None:

    async with opened(fixed.path) as screen:
        result = {"state": "failed", "seconds": 3.0, "error": {"message": "no luck"}}
        (fixed.run("running").path / "result.json").write_text(json.dumps(result))
        screen.app._follow_home()
        await screen.settle()
        screen.app._follow_home()
        assert "mixed at 4 (bb01) failed: no luck" in screen.notices


@pytest.mark.parametrize("what", ["run", "comparison"])
def test_a_click_on_a_tab_chooses_its_page(fixed: Home, what: str) -> None:
    async def click() -> None:
        async with opened(fixed.path) as screen:
            ids = fixed.ids
            if what == "run":
                await into(screen, fixed, "study")
            else:
                screen.app.open_comparison([ids["study"], ids["robust"]])
                await screen.settle()
            tabs = screen.app.screen.query_one(TabLine)
            for page, name in enumerate(tabs.names):
                x = tabs.text.index(name) + len(name) - 1
                await screen.pilot.click(TabLine, offset=(x, 0))
                await screen.settle()
                assert tabs.page == page
                assert screen.app.screen.query_one(f"#{name}").display

    asyncio.run(click())


@in_loop
async def test_an_error_of_its_own_becomes_a_notice(fixed: Home) -> None:
    async with opened(fixed.path) as screen:

        def broken() -> None:
            raise RuntimeError("[/foo] a fault")

        screen.app.screen.call_later(broken)
        await screen.settle()
        assert "RuntimeError: [/foo] a fault" in screen.notices
        assert "a fault" in (fixed.path / "ui-errors.log").read_text()
        await screen.press("n")
        assert screen.name == "NewRunScreen"
        screen.app.unhandled_errors.clear()
