"""The frame of every screen: a head line with its title, a foot line with its keys."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual._styles_cache import StylesCache
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget

from tui.messages import Severity, copy_text, show_notice
from tui.render.lines import Line
from tui.render.palette import Palette
from tui.render.themes import palette_of
from tui.shared_state import SharedState
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.foot_line import FootLine, Hint
from tui.widgets.line_view import LineView

FRAMED = 100
"""Width in cells from which the panels of a screen have frames."""
_LAST = ("clear", "back", "help", "quit")
"""Actions whose keys stand last in the foot, at any width."""


class AppScreen(ErrorBoundary, Screen[None]):
    """A screen with a head line, a body, and a foot line that shows its keys."""

    HELP_TITLE: ClassVar[str] = ""
    """Title of its help."""
    FOOT: ClassVar[tuple[str, ...]] = ()
    """Actions whose keys the foot shows first."""
    MOUSE: ClassVar[tuple[tuple[str, str], ...]] = (("click", "a key in the last line: press it"),)
    SIGNS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Signs on the screen, with what they mean, for its help."""
    """What the mouse does here, for the help."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="screen.back"),
    ]

    def __init__(self, state: SharedState) -> None:
        super().__init__()
        self.state = state

    @property
    def palette(self) -> Palette:
        return palette_of(self.app)

    def compose(self) -> ComposeResult:
        yield LineView(lambda width: [self._head_line(width)], id="head")
        yield from self.body()
        yield FootLine(self.hints, id="foot")

    def body(self) -> Iterable[Widget]:
        """The widgets between head and foot."""
        return ()

    def head(self) -> tuple[Text, Text]:
        """Left and right part of the head line."""
        return Text(), Text()

    @property
    def is_ready(self) -> bool:
        """Whether its widgets exist: False before it is composed and while it is removed."""
        return self.is_mounted and self.is_running and bool(self.query("#foot"))

    @property
    def shown_run_id(self) -> str | None:
        """Id of the run that the screen is about, if it is about one."""
        return None

    def tell(self, text: str, severity: Severity = "information") -> None:
        """Show a notice."""
        show_notice(self.app, text, severity)

    def copy(self, text: str, name: str) -> None:
        """Copy a text to the clipboard; ``name`` is what the notice calls it."""
        copy_text(self.app, text, name, self.state.store.home)

    def tick(self) -> None:
        """Called twice a second while the screen is in front."""

    def home_changed(self) -> None:
        """Called when a run of the home has changed while the screen is in front."""

    def on_screen_resume(self) -> None:
        self.redraw_frame()

    def on_mount(self) -> None:
        # The active keys depend on the focused widget and on whether it has something to clear.
        self.bindings_updated_signal.subscribe(self, lambda _: self.redraw_frame())

    def on_unmount(self) -> None:
        # Textual caches two colours for each widget, and with them the widget's drawn lines, over
        # a megabyte a screen, of up to 1,024 widgets that are gone.
        StylesCache.get_inner_outer.cache_clear()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width >= FRAMED, "-framed")

    def redraw_frame(self) -> None:
        """Draw head and foot; only what has changed is sent."""
        if self.is_ready:
            self.query_one("#head", LineView).redraw()
            self.query_one("#foot", LineView).redraw()

    def action_back(self) -> None:
        self.dismiss()

    def _head_line(self, width: int) -> Line:
        left, right = self.head()
        room = width - 2 - right.cell_len
        left.truncate(max(room - 2, 8), overflow="ellipsis")
        gap = max(room - left.cell_len, 1)
        return Text.assemble(" ", left, " " * gap, right, " ")

    def offers(self, action: str) -> bool:  # noqa: ARG002
        """Whether the foot shows the key of an action now: whether the key has an effect."""
        return True

    def hint_text(self, action: str, description: str) -> str:  # noqa: ARG002
        """What the foot says of an action."""
        return description

    def foot(self) -> Sequence[str]:
        """Actions whose keys the foot shows first, in this order."""
        return self.FOOT

    def hints(self) -> list[Hint]:
        """The keys that the foot may show now, in their order."""
        hints: dict[str, Hint] = {}
        for active in self.active_bindings.values():
            binding, action = active.binding, active.binding.action.partition("(")[0]
            is_shown = binding.show and not binding.system and active.enabled
            if is_shown and binding.description and action not in hints and self.offers(action):
                hints[action] = Hint(
                    self.app.get_key_display(binding),
                    self.hint_text(action, binding.description),
                    binding.action,
                    active.node,
                    stays=action in _LAST,
                )
        others = dict.fromkeys([*self.foot(), *hints])
        order = [*(action for action in others if action not in _LAST), *_LAST]
        return [hints[action] for action in order if action in hints]
