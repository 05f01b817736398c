"""The help: the keys of the screen behind it, as they are bound now."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.widgets import Input

from tui.render.key_help import KeyLine, key_help
from tui.render.themes import palette_of
from tui.screens.dialogs import Dialog
from tui.widgets.foot_line import FootLine, Hint
from tui.widgets.line_view import LineView

WIDEST = 130
BESIDE, ABOVE = 7, 8
"""Cells of the box beside the help (frame, padding, scrollbar), and lines above and below it."""


class Help(Dialog[None]):
    """The keys of a screen by their purpose; what is typed filters them."""

    # Before the keys of the input, hence priority.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll(1)", "down", priority=True, id="help.down"),
        Binding("up", "scroll(-1)", "up", priority=True, id="help.up"),
        Binding("pagedown", "page(1)", "page down", priority=True, id="help.page-down"),
        Binding("pageup", "page(-1)", "page up", priority=True, id="help.page-up"),
    ]

    def __init__(self, title: str, keys: Sequence[KeyLine]) -> None:
        super().__init__()
        self._title, self._keys = title, keys
        self._width = 0
        """Cells of the help: the same with a scrollbar beside it and without one."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box help"):
            yield LineView(self._titled, id="title")
            yield Input(placeholder="type to filter: a key, a word, an id", compact=True)
            yield LineView(self._lines, id="keys")
            yield FootLine(self._hints, id="hint")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_resize(self, event: Resize) -> None:
        """Give the box the size of the whole help, whatever the filter leaves of it."""
        width = min(event.size.width - 4, WIDEST)
        self._width = width - BESIDE
        whole = key_help(self._keys, "", self._width, palette_of(self.app))
        styles = self.query_one(".box").styles
        styles.width, styles.height = width, min(len(whole) + ABOVE, event.size.height - 2)

    def _titled(self, _: int) -> list[Text]:
        palette = palette_of(self.app)
        note = "  the word behind a key is its name in config.toml"
        return [Text.assemble((f"{self._title}: keys", palette.title), (note, palette.dim))]

    def _lines(self, _: int) -> list[Text]:
        text = self.query_one(Input).value
        return key_help(self._keys, text, self._width, palette_of(self.app))

    def _hints(self) -> list[Hint]:
        return [
            Hint("↓", "down", "page(1)", self),
            Hint("↑", "up", "page(-1)", self),
            Hint("esc", "close", "cancel", self),
        ]

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        view = self.query_one("#keys", LineView)
        view.redraw()
        view.scroll_home(animate=False)

    def action_scroll(self, by: int) -> None:
        self.query_one("#keys", LineView).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        view = self.query_one("#keys", LineView)
        view.scroll_relative(y=by * max(view.size.height - 1, 1), animate=False)
