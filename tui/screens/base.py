"""The frame of every screen: a head line with its title, a foot line with its keys."""

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
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
from tui.widgets.line_view import LineView

_ALWAYS = ("esc", "?", "q")
"""Keys that the foot shows at any width."""


FRAMED = 100
"""Width in cells from which the panels of a screen have frames."""


def _cells(hint: tuple[str, str]) -> int:
    return cell_len(hint[0]) + cell_len(hint[1]) + 3


class AppScreen(ErrorBoundary, Screen[None]):
    """A screen with a head line, a body, and a foot line that shows its keys."""

    HELP_TITLE: ClassVar[str] = ""
    """Title of its help."""
    FOOT: ClassVar[tuple[str, ...]] = ()
    """Actions whose keys the foot shows first."""

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
        yield LineView(lambda width: [self._foot_line(width)], id="foot")

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

    def _foot_line(self, width: int) -> Line:
        hints = self.hints()
        room = width - 1 - sum(_cells(hint) for hint in hints if hint[0] in _ALWAYS)
        line = Text(" ")
        for key, description in hints:
            if key not in _ALWAYS:
                room -= _cells((key, description))
                if room < 0:
                    continue
            line.append(key, self.palette.accent)
            line.append(f" {description}  ", self.palette.dim)
        return line

    def offers(self, action: str) -> bool:  # noqa: ARG002
        """Whether the foot shows the key of an action now."""
        return True

    def hints(self) -> list[tuple[str, str]]:
        """The keys that the foot may show, in their order, with their descriptions."""
        hints: dict[str, tuple[str, str]] = {}
        for active in self.active_bindings.values():
            binding = active.binding
            if binding.show and not binding.system and active.enabled and binding.description:
                hint = (self.app.get_key_display(binding), binding.description)
                hints.setdefault(binding.action.partition("(")[0], hint)
        last = ("clear", "back", "help", "quit")
        first = [action for action in self.FOOT if action in hints]
        rest = [action for action in hints if action not in (*first, *last)]
        order = [action for action in (*first, *rest, *last) if action in hints]
        return [hints[action] for action in order if self.offers(action)]
