"""The screen of the experiment manager: it shows the runs of a home and starts new ones.

Every run is a process of its own. All that the screen shows is read from the files of the runs, and
leaving the screen stops none of them. It imports neither torch nor the engine.
"""

import gc
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import ActiveBinding, Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from runs.errors import UserError
from runs.slurm_queue import QUEUE
from runs.storage import storage_error
from runs.store import Store
from tui.messages import OpenComparison, OpenNewRun, OpenRun, Severity, show_notice
from tui.render.text import clean
from tui.render.themes import THEMES
from tui.run_list.row import Row
from tui.screens.base import AppScreen
from tui.screens.run_list import RunListScreen
from tui.settings import Settings, read_settings
from tui.shared_state import SharedState
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.line_view import LineView

if TYPE_CHECKING:  # the help is imported when it is first opened
    from tui.render.key_help import KeyLine

TICK_S = 0.5
PASS_EVERY_S = 1.0
"""Seconds from the end of one pass over the home to the next."""
ERRORS_A_SECOND = 20
"""More errors of the screen's own code within a second are a loop: then the app does end."""


class AdvtuiApp(ErrorBoundary, App[None]):
    """The screen of one home: it opens the screens, follows the home and shows all errors."""

    CSS_PATH = "app.tcss"
    TITLE = "advtui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "help", id="app.help"),
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
        self.state = SharedState(store, settings or read_settings(), clock)
        self.unhandled_errors: list[Exception] = []
        """Errors that no code of the screen handled; each was shown in a notice."""
        self.drawing_errors: deque[Exception] = deque(maxlen=20)
        """The last errors of sources of a :class:`LineView`, which shows each in a line of its own.
        A damaged file of a run may cause them."""
        self._error_times: list[float] = []
        for theme in THEMES:
            self.register_theme(theme)
        # Before the start: a later change of theme parses all styles again.
        theme_name = self.state.settings.theme
        self.theme = theme_name if theme_name in self.available_themes else THEMES[0].name

    def get_default_screen(self) -> RunListScreen:
        """The run list, after a short pass over the home: its first frame has rows."""
        self.state.feed.step(budget_s=0.05)
        return RunListScreen(self.state)

    def on_mount(self) -> None:
        settings = self.state.settings
        problems = [settings.problem] if settings.problem else []
        if settings.theme not in self.available_themes:
            problems.append(f"unknown theme {settings.theme!r}")
        self.set_keymap(settings.keys)
        for problem in problems:
            show_notice(self, problem, "warning")
        self.set_interval(TICK_S, self._tick)
        self._follow_home()
        self.call_after_refresh(self._enable_garbage_collection)

    @staticmethod
    def _enable_garbage_collection() -> None:
        """Turn garbage collection on: ``tui.__main__`` turned it off, for a faster first frame.

        Objects that exist now live until the end: no collection traverses them.
        """
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    # Following the home: a pass reads the folder of each run. It is cut into slices of about 10 ms.
    # Between two slices the screen answers keys and draws.

    def _follow_home(self) -> None:
        """Read one slice of a pass over the home, and set a timer for the next slice or pass."""
        is_pass_over = True
        feed = self.state.feed
        try:
            is_pass_over = feed.step()
            front = self._front
            if front is not None and feed.take_change():
                front.home_changed()
            for row in feed.take_ended():
                self._announce_end(row)
        finally:  # the next slice comes after an error as well
            self.set_timer(PASS_EVERY_S if is_pass_over else 0.02, self._follow_home)

    @property
    def _front(self) -> AppScreen | None:
        """The screen in front, if it is an :class:`AppScreen` whose widgets are mounted."""
        front = self.screen_stack[-1] if self.screen_stack else None
        return front if isinstance(front, AppScreen) and front.is_ready else None

    def _tick(self) -> None:
        self.state.reap_workers()
        if (front := self._front) is not None:
            front.tick()

    def _announce_end(self, row: Row) -> None:
        """Notice, bell and desktop notification for a run that has ended."""
        front = self._front
        if row.parent is not None or (front is not None and front.shown_run_id == row.id):
            return
        text = f"{row.title} ({row.id[-4:]}) {row.state}"
        if row.error:
            text += f": {row.error}"
        for warning in row.warnings:
            text += f"; ! {warning}"
        severity: Severity = "warning" if row.warnings else "information"
        show_notice(self, text, "error" if row.state in ("failed", "lost") else severity)
        if self.state.settings.bell:
            self.bell()
        if self.state.settings.osc9 and self._driver is not None:
            self._driver.write(f"\x1b]9;advtui: {clean(text, 200)}\x07")

    # Errors and warnings

    def _handle_exception(self, error: Exception) -> None:
        """Show an error of the screen's own code in a notice and log it; the screen goes on."""
        now = time.monotonic()
        self._error_times = [t for t in self._error_times if now - t < 1.0] + [now]
        if not self._running or not self.screen_stack or len(self._error_times) > ERRORS_A_SECOND:
            super()._handle_exception(error)
            return
        self.unhandled_errors.append(error)
        explained = error if isinstance(error, UserError) else storage_error(error)
        if explained is not None:
            show_notice(self, str(explained), "error")
            return
        path = self.state.store.home / "ui-errors.log"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write("".join(traceback.format_exception(error)))
            log = f" (traceback in {path})"
        except OSError:
            log = ""
        show_notice(self, f"{type(error).__name__}: {error}{log}", "error")

    def on_line_view_drawing_failed(self, message: LineView.DrawingFailed) -> None:
        self.drawing_errors.append(message.error)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """Warn that a key of the settings replaces another binding, which has no key now."""
        if node is self.screen or node is self:
            for binding in clashed_bindings:
                action = binding.id or binding.action
                show_notice(self, f"{action} has lost its key {binding.key}", "warning")

    # Screens; each is imported when it is first opened

    def open_run(self, run_id: str) -> None:
        """Open the screen of a run."""
        from tui.screens.run_detail import RunDetailScreen

        self.push_screen(RunDetailScreen(self.state, self.state.run(run_id)))

    def open_comparison(self, names: Sequence[str]) -> None:
        """Open the comparison of runs and checkpoints, named as ``advtui compare`` takes them."""
        from tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(self.state, names))

    def open_new_run(self, run_ids: Sequence[str] = (), kind: str = "study") -> None:
        """Open the form of a new run; see :class:`tui.messages.OpenNewRun`."""
        from tui.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(self.state, run_ids, kind))

    def on_open_run(self, message: OpenRun) -> None:
        self.open_run(message.run_id)

    def on_open_comparison(self, message: OpenComparison) -> None:
        self.open_comparison(message.names)

    def on_open_new_run(self, message: OpenNewRun) -> None:
        self.open_new_run(message.run_ids, message.kind)

    # Keys and commands

    def action_help(self) -> None:
        from tui.render.key_help import MOUSE, SIGNS, KeyLine
        from tui.screens.help import Help

        screen = self.screen
        if isinstance(screen, AppScreen):
            signs = [KeyLine(*line, group=SIGNS) for line in screen.SIGNS]
            mouse = [KeyLine(*line, group=MOUSE) for line in screen.MOUSE]
            self.push_screen(Help(screen.HELP_TITLE, [*keys_of(screen), *signs, *mouse]))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The commands of the palette: the keys of this screen, and the themes."""
        for keys, active in _actions(screen):
            if active.enabled:
                action, node = active.binding.action, active.node
                yield SystemCommand(
                    active.binding.description.capitalize(),
                    " · ".join(word for word in (keys, active.binding.id) if word),
                    lambda action=action, node=node: self.call_later(self.run_action, action, node),
                )
        for name in sorted(self.available_themes):
            yield SystemCommand(
                f"Theme {name}",
                "for this session; config.toml keeps it",
                lambda name=name: setattr(self, "theme", name),
            )


def keys_of(screen: Screen[Any]) -> "list[KeyLine]":
    """The active keys of a screen, a line per action."""
    from tui.render.key_help import KeyLine

    return [
        KeyLine(keys, active.binding.description, active.binding.id or "")
        for keys, active in _actions(screen)
    ]


def _actions(screen: Screen[Any]) -> Iterator[tuple[str, ActiveBinding]]:
    """Each action of a screen once, with all its keys; without the actions of Textual's own."""
    keys: dict[tuple[str, str], list[str]] = {}
    bindings: dict[tuple[str, str], ActiveBinding] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and not binding.system and binding.id:
            action = (binding.action, binding.description)
            key = screen.app.get_key_display(binding)
            names = keys.setdefault(action, [])
            if key.strip() and key not in names:
                names.append(key)
            bindings[action] = active
    for action, names in keys.items():
        yield " ".join(names), bindings[action]


def open_app(home: Path | None) -> None:
    """Open the screen over a home; returns when the user leaves it.

    Raises:
        UserError: stdin or stdout is not a terminal, or a terminal without UTF-8.
    """
    QUEUE.can_wait = False  # Slurm may take seconds to answer; a thread asks it
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "the screen needs a terminal; in a pipe use a command: advtui --help lists them"
        )
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        raise UserError(
            "the screen needs a terminal with UTF-8, and this locale has another encoding: set "
            "LC_ALL=C.UTF-8, or use a command, which shows plain ASCII: advtui --help lists them"
        )
    app = AdvtuiApp(Store(home.expanduser() if home else None))
    # A process that nohup starts ignores SIGHUP, but the screen can't go on without its terminal.
    # With the default handler SIGHUP ends it.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app.run()
    if app.return_code:
        sys.exit(app.return_code)
