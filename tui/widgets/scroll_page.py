"""A page of lines that scrolls with the usual keys."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.render.lines import Line
from tui.widgets.line_view import LineView


class ScrollPage(LineView, can_focus=True):
    """A page of lines with scroll keys of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll(1)", "down", show=False, id="page.down"),
        Binding("up,k", "scroll(-1)", "up", show=False, id="page.up"),
        Binding("pagedown,ctrl+d", "scroll(10)", "page down", show=False, id="page.page-down"),
        Binding("pageup,ctrl+u", "scroll(-10)", "page up", show=False, id="page.page-up"),
        Binding("home,g", "scroll(-100000)", "top", show=False, id="page.top"),
        Binding("end,G", "scroll(100000)", "bottom", show=False, id="page.bottom"),
    ]

    def __init__(self, source: Callable[[int], Iterable[Line]], *, id: str) -> None:
        super().__init__(source, id=id)
        self.add_class("page")

    def action_scroll(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)
