"""The experiment manager's screen: a viewer of a home and a launcher, and nothing more.

It imports no torch; runs are processes of their own, and whatever it shows comes from their
files. Leaving it stops none of them.
"""

import gc
import signal
import subprocess
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from runs.errors import UserError
from runs.store import Run, Store
from tui.render.text import clean
from tui.render.themes import THEMES
from tui.run_list.feed import HomeFeed, TrainingSnapshots
from tui.run_list.row import Row
from tui.screens.base import AppScreen
from tui.screens.run_list import RunListScreen
from tui.settings import Settings, read_settings
from tui.widgets.error_boundary import ErrorBoundary

TICK_S = 0.5
PASS_EVERY_S = 1.0
"""Seconds from the end of one look through the home to the next."""
ERRORS_A_SECOND = 20
"""So many errors of the screen's own within a second are a loop: then it does end."""


class AdvtuiApp(ErrorBoundary, App[None]):
    """The app over one home."""

    CSS_PATH = "app.tcss"
    TITLE = "advtui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", id="app.help"),
        Binding("q", "quit", "leave", id="app.leave"),
    ]

    def __init__(
        self,
        store: Store,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.store = store
        self.settings = settings or read_settings()
        self.clock = clock
        self.feed = HomeFeed(store, clock)
        self.marked: set[str] = set()
        """Ids of the runs that are marked, on whatever screen."""
        self.looks: dict[str, int] = {}
        """The colour that each training keeps while the screen is open."""
        self.courses = TrainingSnapshots()
        self.faults: list[Exception] = []
        """The screen's own errors, each of which was told in a notice."""
        self.unshown: deque[Exception] = deque(maxlen=20)
        """What of somebody else's files could not be shown, the last few."""
        self._fault_times: list[float] = []
        self._started_here: list[subprocess.Popen[bytes]] = []
        for theme in THEMES:
            self.register_theme(theme)
        # Set before the start: a theme that changes later has all styles parsed again.
        known = self.settings.theme in self.available_themes
        self.theme = self.settings.theme if known else THEMES[0].name

    def get_default_screen(self) -> RunListScreen:
        """Home, with what a first look brings: the first frame shows runs."""
        self.feed.step(budget_s=0.05)
        return RunListScreen()

    def on_mount(self) -> None:
        problems = [self.settings.problem] if self.settings.problem else []
        if self.settings.theme not in self.available_themes:
            problems.append(f"unknown theme {self.settings.theme!r}")
        self.set_keymap(self.settings.keys)
        for problem in problems:
            self.tell(problem, "warning")
        self.set_interval(TICK_S, self._tick)
        self._look_through_home()
        self.call_after_refresh(self._collect_garbage_again)

    @staticmethod
    def _collect_garbage_again() -> None:
        """What the start has made stays: no collection needs to look through it."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    # Following the home

    def _look_through_home(self) -> None:
        over = True
        try:
            over = self.feed.step()
            front = self._front
            if front is not None and self.feed.take_change():
                front.home_changed()
            for row in self.feed.take_ended():
                self._tell_ended(row)
        finally:  # whatever happens, it looks again
            self.set_timer(PASS_EVERY_S if over else 0.02, self._look_through_home)

    @property
    def _front(self) -> AppScreen | None:
        """The screen in front, where it is one of ours and its widgets are there."""
        front = self.screen_stack[-1] if self.screen_stack else None
        return front if isinstance(front, AppScreen) and front.is_ready else None

    def _tick(self) -> None:
        self._started_here = [worker for worker in self._started_here if worker.poll() is None]
        if (front := self._front) is not None:
            front.tick()

    def _tell_ended(self, row: Row) -> None:
        if row.parent is not None or getattr(self._front, "run_id", None) == row.id:
            return
        what = f"{row.title} ({row.id[-4:]}) {row.state}"
        if row.error:
            what += f": {row.error}"
        self.tell(what, "error" if row.state in ("failed", "lost") else "information")
        if self.settings.bell:
            self.bell()
        if self.settings.osc9 and self._driver is not None:
            self._driver.write(f"\x1b]9;advtui: {clean(what, 200)}\x07")

    # Telling

    def tell(self, message: str, severity: str = "information") -> None:
        """A notice; its text is harmless whatever it holds."""
        self.notify(
            clean(message, 400),
            severity=severity,  # type: ignore[arg-type]
            timeout=8 if severity == "information" else 15,
            markup=False,
        )

    def _handle_exception(self, error: Exception) -> None:
        """An error of the screen's own code: told and written down; the screen goes on."""
        now = time.monotonic()
        self._fault_times = [t for t in self._fault_times if now - t < 1.0] + [now]
        if not self._running or not self.screen_stack or len(self._fault_times) > ERRORS_A_SECOND:
            super()._handle_exception(error)
            return
        self.faults.append(error)
        if isinstance(error, UserError):
            self.tell(str(error), "error")
            return
        path = self.store.home / "ui-errors.log"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write("".join(traceback.format_exception(error)))
            where = f" ({path} says where)"
        except OSError:
            where = ""
        self.tell(f"{type(error).__name__}: {error}{where}", "error")

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """A key of the settings takes the place of another: said, since that one has no key now."""
        if node is self.screen or node is self:
            for binding in clashed_bindings:
                self.tell(
                    f"{binding.id or binding.action} has lost its key {binding.key}", "warning"
                )

    def copy(self, text: str, what: str) -> None:
        """Copy to the terminal's clipboard (OSC 52), and to a file for terminals without."""
        self.copy_to_clipboard(text)
        path = self.store.home / "copied.txt"
        try:
            path.write_text(text, encoding="utf-8", errors="replace")
            self.tell(f"copied {what}; also in {path}")
        except OSError:
            self.tell(f"copied {what}")

    # Runs

    def run_of(self, run_id: str) -> Run:
        """The run with this id."""
        return Run(self.store.folder / run_id)

    def adopt(self, worker: subprocess.Popen[bytes]) -> None:
        """Remember a worker that was started here, so that it is waited for when it ends."""
        self._started_here.append(worker)

    def open_run(self, run_id: str) -> None:
        """Open a run's screen."""
        from tui.screens.run_detail import RunDetailScreen

        self.push_screen(RunDetailScreen(self.run_of(run_id), self.store, self.clock))

    # Keys and commands

    def action_help(self) -> None:
        from tui.screens.dialogs import Help

        screen = self.screen
        title = getattr(screen, "HELP_TITLE", None)
        if title is not None:
            self.push_screen(Help(str(title), lambda: keys_of(screen)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers: this screen's keys, and the themes."""
        for active in screen.active_bindings.values():
            binding, node = active.binding, active.node
            if binding.description and active.enabled and not binding.system:
                action = binding.action
                yield SystemCommand(
                    binding.description.capitalize(),
                    f"{self.get_key_display(binding)} · {binding.id}",
                    lambda action=action, node=node: self.call_later(self.run_action, action, node),
                )
        for name in sorted(self.available_themes):
            yield SystemCommand(
                f"Theme {name}",
                "for this session; config.toml keeps it",
                lambda name=name: setattr(self, "theme", name),
            )


def keys_of(screen: Screen[object]) -> list[tuple[str, str, str]]:
    """The keys that work on a screen: keys, what they do, the binding's id."""
    keys: dict[tuple[str, str], list[str]] = {}
    ids: dict[tuple[str, str], str] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and not binding.system and binding.id:
            entry = (binding.action, binding.description)
            shown = screen.app.get_key_display(binding)
            keys.setdefault(entry, [])
            if shown not in keys[entry]:
                keys[entry].append(shown)
            ids[entry] = binding.id
    return [(" ".join(shown), entry[1], ids[entry]) for entry, shown in keys.items()]


def open_app(home: Path | None) -> None:
    """Open the screen over a home; returns when the person leaves it.

    Raises:
        UserError: stdin or stdout is no terminal.
    """
    import sys

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "the screen needs a terminal; in a pipe use a command: advtui --help lists them"
        )
    app = AdvtuiApp(Store(home.expanduser() if home else None))
    # Whatever nohup says: a screen without its terminal is of no use to anybody.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app.run()
    if app.return_code:
        sys.exit(app.return_code)
