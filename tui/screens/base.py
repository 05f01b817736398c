"""What every screen has: a line above that says where one is, a line below with its keys."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget

from tui.render.lines import Line
from tui.render.palette import Palette
from tui.render.themes import palette_of
from tui.widgets.error_boundary import ErrorBoundary
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from tui.app import AdvtuiApp


_ALWAYS = ("esc", "?", "q")
"""Keys that the foot shows however narrow it is."""


def _room(hint: tuple[str, str]) -> int:
    return cell_len(hint[0]) + cell_len(hint[1]) + 3


class AppScreen(ErrorBoundary, Screen[None]):
    """A screen of the house: head, body, foot."""

    FOOT: ClassVar[tuple[str, ...]] = ()
    """Actions whose keys the foot shows first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="screen.back"),
    ]

    @property
    def house(self) -> "AdvtuiApp":
        """The app, by its own type."""
        return cast("AdvtuiApp", self.app)

    @property
    def palette(self) -> Palette:
        return palette_of(self.app)

    def compose(self) -> ComposeResult:
        yield LineView(lambda width: [self._head_line(width)], id="head")
        yield from self.body()
        yield LineView(lambda width: [self._foot_line(width)], id="foot")

    def body(self) -> Iterable[Widget]:
        """What stands between head and foot."""
        return ()

    def head(self) -> tuple[Text, Text]:
        """What the first line says at its left and at its right."""
        return Text(), Text()

    @property
    def is_ready(self) -> bool:
        """Whether its widgets are there: not before it was composed, nor while it is taken down."""
        return self.is_mounted and self.is_running and bool(self.query("#foot"))

    def tick(self) -> None:
        """Called twice a second while the screen is in front."""

    def home_changed(self) -> None:
        """Called when a run of the home has changed while the screen is in front."""

    def on_screen_resume(self) -> None:
        self.redraw_frame()

    def on_mount(self) -> None:
        # Other keys work where another widget is in focus, or has something to clear.
        self.bindings_updated_signal.subscribe(self, lambda _: self.redraw_frame())

    def redraw_frame(self) -> None:
        """Draw head and foot again where they have changed."""
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
        room = width - 1 - sum(_room(hint) for hint in hints if hint[0] in _ALWAYS)
        line = Text(" ")
        for key, told in hints:
            if key not in _ALWAYS:
                room -= _room((key, told))
                if room < 0:
                    continue
            line.append(key, self.palette.accent)
            line.append(f" {told}  ", self.palette.dim)
        return line

    def offers(self, action: str) -> bool:  # noqa: ARG002
        """Whether the foot names the key of an action now."""
        return True

    def hints(self) -> list[tuple[str, str]]:
        """The keys of this screen that the foot shows, with what they do."""
        found: dict[str, tuple[str, str]] = {}
        for active in self.active_bindings.values():
            binding = active.binding
            if binding.show and not binding.system and active.enabled and binding.description:
                shown = (self.app.get_key_display(binding), binding.description)
                found.setdefault(binding.action.partition("(")[0], shown)
        last = ("clear", "back", "help", "quit")
        first = [action for action in self.FOOT if action in found]
        rest = [action for action in found if action not in (*first, *last)]
        order = [action for action in (*first, *rest, *last) if action in found]
        return [found[action] for action in order if self.offers(action)]
