"""The list of runs. Draws the visible rows only, and sends only the lines that have changed."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.render.themes import palette_of
from tui.run_list.lines import FOLD, MARK, Lead, ListLines
from tui.run_list.row import Row
from tui.widgets.error_boundary import ErrorBoundary


class RunList(ErrorBoundary, ScrollView, can_focus=True):
    """The rows of the run list, with a cursor. A study can hide its children."""

    DEFAULT_CSS = """
    RunList { scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="list.up"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, id="list.page-down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="list.page-up"),
        Binding("home,g", "to(0)", "first", show=False, id="list.first"),
        Binding("end,G", "to(-1)", "last", show=False, id="list.last"),
        Binding("right,l", "fold(False)", "unfold study", show=False, id="list.unfold"),
        Binding("left,h", "fold(True)", "fold study", show=False, id="list.fold"),
    ]

    class Moved(Message):
        """The cursor has moved to another run, or to none."""

    class Opened(Message):
        """A run was clicked twice."""

    class HeadClicked(Message):
        """The head of a column was clicked, named as in :data:`tui.run_list.filter.COLUMNS`."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class MarkClicked(Message):
        """The cells left of a run, which hold its mark, were clicked."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    class Folded(Message):
        """The user asks to fold or unfold a study."""

        def __init__(self, row: Row, folded: bool) -> None:
            super().__init__()
            self.row, self.folded = row, folded

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[tuple[Row, int]] = ()
        self._folds: dict[str, bool] = {}
        self._marked: frozenset[str] = frozenset()
        self._sorted: tuple[str, bool] = ("age", False)
        self._now = 0.0
        self._at = 0
        self._strips: list[Strip] = []
        self._longest_at = 0
        """Cells of the longest unusual ε."""

    @property
    def current(self) -> Row | None:
        """The run under the cursor."""
        return self._rows[self._at][0] if self._at < len(self._rows) else None

    def show(
        self,
        rows: Sequence[tuple[Row, int]],
        *,
        folds: dict[str, bool],
        marked: frozenset[str],
        sorted_by: tuple[str, bool],
        now: float,
    ) -> None:
        """Show these rows with their depths; the cursor stays on its run.

        Args:
            folds: the studies that have children, and whether they are folded.
            marked: ids of the marked runs.
            sorted_by: column, and whether the order is reversed.
            now: unix seconds, from which ages are counted.
        """
        before = self.current
        self._rows, self._folds, self._marked = rows, folds, marked
        self._sorted, self._now = sorted_by, now
        self._longest_at = max((cell_len(row.at) for row, _ in rows), default=0)
        places = {row.id: n for n, (row, _) in enumerate(rows)}
        if before is not None and before.id in places:
            at = places[before.id]
        elif before is not None and before.parent in places:  # folded away
            at = places[before.parent or ""]
        else:
            at = min(self._at, max(len(rows) - 1, 0))
        self._measure()
        if before is None or self._at != at:
            self._at = at
            self._follow_cursor()
        if self.current is None or before is None or self.current.id != before.id:
            self.post_message(self.Moved())
        self._redraw()

    def _measure(self) -> None:
        lines = len(self._rows) + 1
        self.virtual_size = Size(0, lines if lines > self.size.height > 0 else 0)

    def _draw(self) -> None:
        lines = self._list_lines()
        self._strips = [self._draw_line(y, lines) for y in range(self.size.height)]

    def _list_lines(self) -> ListLines:
        return ListLines(self.size.width, self._longest_at, palette_of(self.app))

    def _redraw(self) -> None:
        """Draw the visible lines, and refresh those that differ."""
        before = self._strips
        self._draw()
        if len(before) != len(self._strips):
            self.refresh()
            return
        changed = [
            Region(0, y, self.size.width, 1)
            for y, (old, new) in enumerate(zip(before, self._strips, strict=True))
            if old != new
        ]
        if changed:
            self.refresh(*changed)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._redraw())

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._redraw()

    def on_resize(self) -> None:
        self._measure()
        self._follow_cursor()
        self._redraw()

    # Drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        if not self._strips:
            self._draw()  # before the first resize event, so that the first frame is complete
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The line at ``y`` cells below the top; the first is the head, which does not scroll."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _draw_line(self, y: int, lines: ListLines) -> Strip:
        width = self.size.width
        base = self.rich_style
        n = y - 1 + self.scroll_offset.y
        if y == 0:
            by, turned = self._sorted
            segments = lines.head(by, turned=turned)
        elif n < len(self._rows):
            row, depth = self._rows[n]
            lead = Lead(n == self._at, row.id in self._marked, self._folds.get(row.id))
            segments = lines.row(row, depth, lead, self._now)
            if lead.is_current:
                base += Style(bgcolor=self._cursor_colour())
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width).apply_style(base)

    def _cursor_colour(self) -> str:
        colour = self.app.theme_variables.get("panel", "")
        return colour if colour.startswith("#") else "#303030"  # an ANSI theme has no hex colour

    # Moving

    def _follow_cursor(self) -> None:
        page = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if self._at < top:
            self.scroll_to(y=self._at, animate=False, force=True)
        elif self._at >= top + page:
            self.scroll_to(y=self._at - page + 1, animate=False, force=True)

    def _go(self, at: int) -> None:
        at = min(max(at, 0), max(len(self._rows) - 1, 0))
        if at != self._at:
            self._at = at
            self._follow_cursor()
            self._redraw()
            self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        self._go(self._at + by * max(self.size.height - 2, 1))

    def action_to(self, at: int) -> None:
        self._go(at if at >= 0 else len(self._rows) - 1)

    def action_fold(self, folded: bool) -> None:
        row = self.current
        if row is None:
            return
        if folded and row.id not in self._folds:  # from a child: fold its study
            parent = next((other for other, _ in self._rows if other.id == row.parent), None)
            if parent is None:
                return
            row = parent
        if self._folds.get(row.id) not in (None, folded):
            self.post_message(self.Folded(row, folded))

    def on_click(self, event: Click) -> None:
        place = event.get_content_offset(self)
        if place is None:  # on the frame
            return
        n = place.y - 1 + self.scroll_offset.y
        if place.y == 0 and (column := self._list_lines().column_at(place.x)):
            self.post_message(self.HeadClicked(column))
        if place.y == 0 or n >= len(self._rows):
            return
        self._go(n)
        row = self._rows[n][0]
        folded = self._folds.get(row.id)
        if place.x in MARK:
            self.post_message(self.MarkClicked(row))
        elif place.x in FOLD and folded is not None:
            self.post_message(self.Folded(row, not folded))
        elif event.chain == 2:
            self.post_message(self.Opened())
