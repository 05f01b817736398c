"""The line with the names of a screen's pages."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.events import Click
from textual.message import Message

from tui.render.lines import Line
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView

_GAP = "   "


class TabLine(LineView):
    """Numbered names, the chosen page underlined; a click asks for another page."""

    class Clicked(Message):
        """A click on the name of a page; ``page`` counts from 0."""

        def __init__(self, page: int) -> None:
            super().__init__()
            self.page = page

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(self._lines, id="tabs")
        self.names = names
        self._page = 0

    @property
    def page(self) -> int:
        """The chosen page, from 0; setting it draws the line."""
        return self._page

    @page.setter
    def page(self, page: int) -> None:
        self._page = page
        self.redraw()

    def _lines(self, _: int) -> list[Line]:
        palette = palette_of(self.app)
        line = Text(" ")
        for number, name in enumerate(self.names):
            chosen = number == self._page
            line.append(f"{number + 1} ", palette.dim)
            line.append(name, f"bold underline {palette.accent}" if chosen else palette.dim)
            line.append(_GAP)
        return [line]

    def on_click(self, event: Click) -> None:
        end = 1
        for number, name in enumerate(self.names):
            end += cell_len(f"{number + 1} {name}{_GAP}")
            if event.x < end:
                self.post_message(self.Clicked(number))
                return
