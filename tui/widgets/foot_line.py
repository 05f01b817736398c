"""The last line of a screen: its keys and what they do. A click on one does what its key does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual.dom import DOMNode
from textual.events import Click

from tui.render.lines import Line
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView

_GAP = 2


@dataclass(frozen=True)
class Hint:
    """A key in the foot, and the action that the key and a click on it run."""

    key: str
    """As it is shown: ``⏎``."""
    text: str
    action: str
    node: DOMNode | None = None
    """Whose action it is."""
    stays: bool = False
    """Whether it has room before all hints that don't stay."""

    @property
    def cells(self) -> int:
        return cell_len(self.key) + 1 + cell_len(self.text)


def placed(hints: Sequence[Hint], width: int) -> list[tuple[int, Hint]]:
    """The hints that fit into ``width`` cells, in their order, each with the column it begins at.

    A hint stands there whole or not at all.
    """
    room = width - 1 + _GAP
    fitting = []
    for hint in sorted(hints, key=lambda hint: not hint.stays):
        if hint.cells + _GAP <= room:
            room -= hint.cells + _GAP
            fitting.append(hint)
    places, column = [], 1
    for hint in hints:
        if hint in fitting:
            places.append((column, hint))
            column += hint.cells + _GAP
    return places


class FootLine(LineView):
    """Keys with what they do, from a function that tells the hints of the moment."""

    def __init__(self, hints: Callable[[], Sequence[Hint]], *, id: str | None = None) -> None:
        super().__init__(self._lines, id=id)
        self._hints = hints
        self._places: list[tuple[int, Hint]] = []

    def _lines(self, width: int) -> list[Line]:
        palette = palette_of(self.app)
        self._places = placed(self._hints(), width)
        line = Text(" ")
        for _, hint in self._places:
            line.append(hint.key, palette.accent)
            line.append(f" {hint.text}{' ' * _GAP}", palette.dim)
        return [line]

    def on_click(self, event: Click) -> None:
        event.stop()
        for column, hint in self._places:
            if column <= event.x < column + hint.cells:
                self.app.call_later(self.app.run_action, hint.action, hint.node)
