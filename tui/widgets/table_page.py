"""A page with a table, whose notes a key opens and folds."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.render.lines import Line
from tui.render.table_notes import Fold
from tui.widgets.scroll_page import ScrollPage

NOTES = "table.notes"


class TablePage(ScrollPage):
    """A page whose source also takes whether the notes are open."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("i", "notes", "notes", id=NOTES)]

    def __init__(self, source: Callable[[int, Fold], Iterable[Line]], *, id: str) -> None:
        super().__init__(lambda width: source(width, self._fold), id=id)
        self._is_open = False

    @property
    def _fold(self) -> Fold:
        """The fold, with its key as the user has set it."""
        for active in self.screen.active_bindings.values():
            if active.binding.id == NOTES:
                return Fold(self._is_open, self.app.get_key_display(active.binding))
        return Fold(self._is_open, "")

    def action_notes(self) -> None:
        self._is_open = not self._is_open
        self.redraw()
