"""Driving the screen in tests: open it over a home, press keys by their binding, read it."""

import asyncio
import functools
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot

from fixed_home import build
from runs.store import Run, Store
from tui.app import AdvtuiApp
from tui.screens.panes.preview import Preview
from tui.screens.run_detail import RunDetailScreen
from tui.settings import Settings
from tui.widgets.foot_line import FootLine
from tui.widgets.run_list import RunList

SIZES = ((80, 24), (120, 40), (200, 60))
SHORT_S = 0.006  # longer than the screen waits anywhere for its next slice of reading
SIDES = str.maketrans(dict.fromkeys("│", " "))
CORNERS = "╭╰"
FRAMES = str.maketrans(dict.fromkeys("│╭╮╰╯─", " "))
COVERED: set[str] = set()
"""Ids of all bindings that some test presses."""


@asynccontextmanager
async def opened(
    home: Path,
    size: tuple[int, int] = (120, 40),
    *,
    clock: Callable[[], float] = time.time,
    settings: Settings | None = None,
    foreign: bool = False,
) -> AsyncIterator["Screen"]:
    """The app over a home, until the block ends; its own errors fail the test.

    ``foreign``: the home holds what no worker writes, and need not be shown in full.
    """
    app = AdvtuiApp(Store(home), settings or Settings(), clock)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = Screen(app, pilot)
        await screen.settle()
        yield screen
    assert not app.unhandled_errors, app.unhandled_errors
    assert foreign or not app.drawing_errors, app.drawing_errors


def key_event(key: str) -> events.Key:
    """The event of a key by its name or character."""
    name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
    character: str | None
    try:
        character = unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name)))
    except KeyError:
        character = key if len(key) == 1 else None
    return events.Key(name, character)


class Screen:
    """The app in a test."""

    def __init__(self, app: AdvtuiApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.pressed: set[str] = set()

    async def settle(self) -> None:
        """Let everything that was caused be done."""
        while not self.app.state.feed.step(1.0):
            pass
        quiet = 0
        while quiet < 2:
            screen = self.app.screen
            await self.pilot._wait_for_screen()
            await asyncio.sleep(SHORT_S)
            screen._on_timer_update()
            pumps = [self.app, *self.app.screen.walk_children(with_self=True)]
            busy = screen is not self.app.screen or any(pump.message_queue_size for pump in pumps)
            busy |= not all(preview.is_settled for preview in screen.query(Preview))
            quiet = 0 if busy else quiet + 1

    async def press(self, *keys: str) -> None:
        """Press keys, or bindings by their ids (``runs.open``): these must be active here."""
        for key in keys:
            if "." in key:
                self.pressed.add(key)
                key = self.key_of(key)
            driver = self.app._driver
            assert driver is not None
            driver.send_message(key_event(key))
            await self.settle()

    async def click(self, text: str, *, line: str = "", button: int = 1, times: int = 1) -> None:
        """Click on the first cell of a text that is seen, in the first line that holds ``line``."""
        await self.click_at(*self.place(text, line), button=button, times=times)

    async def click_at(self, x: int, y: int, *, button: int = 1, times: int = 1) -> None:
        """Press and release a button of the mouse at a cell; button 3 is the right one."""
        for _ in range(times):
            self._mouse(events.MouseDown, x, y, button)
            self._mouse(events.MouseUp, x, y, button)
        await self.settle()

    async def wheel(self, x: int, y: int, notches: int) -> None:
        """Turn the wheel over a cell: up by so many notches, with a negative number down."""
        for _ in range(abs(notches)):
            self._mouse(events.MouseScrollUp if notches > 0 else events.MouseScrollDown, x, y, 0)
        await self.settle()

    def _mouse(self, kind: type[events.MouseEvent], x: int, y: int, button: int) -> None:
        driver = self.app._driver
        assert driver is not None
        driver.send_message(kind(None, x, y, 0, 0, button, False, False, False, x, y))

    def place(self, text: str, line: str = "") -> tuple[int, int]:
        """Column and line of the first cell of a text that is seen."""
        for y, seen in enumerate(self.text.splitlines()):
            if text in seen and line in seen:
                return cell_len(seen[: seen.index(text)]), y
        raise AssertionError(f"{text!r} is not in\n{self.text}")

    @property
    def foot(self) -> str:
        """The last line."""
        return self.app.screen.query_one("#foot", FootLine).text

    def key_of(self, binding_id: str) -> str:
        """The first key of a binding that is active here."""
        for key, active in self.app.screen.active_bindings.items():
            if active.binding.id == binding_id and active.enabled:
                return key
        raise AssertionError(f"{binding_id} is not active on {type(self.app.screen).__name__}")

    @property
    def name(self) -> str:
        """The class of the screen in front."""
        return type(self.app.screen).__name__

    @property
    def text(self) -> str:
        """What is seen, as plain text."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    @property
    def lines(self) -> list[str]:
        """What is seen, line by line, without the frames of panels and the blanks at the ends."""
        return [
            line.translate(FRAMES if any(c in line for c in CORNERS) else SIDES).strip()
            for line in self.text.splitlines()
        ]

    @property
    def words(self) -> str:
        """What is seen in one line, without the frames of panels."""
        return " ".join(" ".join(self.lines).split())

    @property
    def notices(self) -> str:
        """The texts of all notices so far."""
        return "\n".join(notice.message for notice in self.app._notifications)


def covers(
    *bindings: str,
) -> Callable[[Callable[..., Coroutine[Any, Any, Any]]], Callable[..., None]]:
    """A test that runs in a loop of its own and presses these bindings.

    An async test returns its :class:`Screen`, which is asked what was pressed.
    """
    COVERED.update(bindings)

    def decorate(test: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            screen = asyncio.run(test(**fixtures))
            if bindings:
                missing = set(bindings) - screen.pressed
                assert not missing, f"never pressed: {missing}"

        return run

    return decorate


in_loop = covers()


class Home:
    """A fixed home whose present is the real one, and its runs by what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids = build(path, now=time.time())

    def run(self, what: str) -> Run:
        return Run(self.path / "runs" / self.ids[what])


async def at(screen: Screen, home: Home, what: str) -> None:
    """Move the cursor of the list to a run."""
    await screen.press("g")
    runlist = screen.app.screen.query_one(RunList)
    for _ in range(20):
        if runlist.current and runlist.current.id == home.ids[what]:
            return
        await screen.press("j")
    raise AssertionError(f"{what} is not in the list")


def current(screen: Screen) -> str:
    row = screen.app.screen.query_one(RunList).current
    return row.id if row else ""


async def into(screen: Screen, home: Home, what: str) -> RunDetailScreen:
    screen.app.open_run(home.ids[what])
    await screen.settle()
    shown = screen.app.screen
    assert isinstance(shown, RunDetailScreen)
    return shown
