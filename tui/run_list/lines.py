"""The head and the rows of the run list as lines of segments, for a width in cells. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from tui.render.bars import bar
from tui.render.palette import Palette
from tui.render.text import clean, duration, percent, short_ago
from tui.run_list.row import Row

LEAD = 6
"""Cells before the first column: cursor, mark, fold, state, warning."""
MARK, FOLD = range(2), range(2, 4)
"""Of these, the cells where a click marks a run, and where it folds a study."""
WIDE = 100
"""Least width of the list at which an unusual ε stands in full behind a robust accuracy."""
LEAST_BAR, MOST_BAR = 6, 12
"""Cells of the bar in the row of a live run."""
BAR_WORDS = 7
"""Cells of the words behind a bar, and of a blank at either end; with longer words is no bar."""
WIDE_BAR_FROM = 76
"""Least width of the list at which the bars are longer than the shortest."""


_FIELD = re.compile(r"(?<!\S)[\w.]+=(?=\S)")
"""Before a value in the name of a sweep's point: ``recipe=trades width=8 seed 1``."""


def _in_family(row: Row) -> str:
    """The label of a row; of a sweep's point the values alone, as the table names their fields."""
    return _FIELD.sub("", row.label) if row.parent is not None else row.label


def _grouped(row: Row) -> str:
    """The value by which the row is grouped, unless its label says it."""
    value = row.group.partition(" ")[2]
    return f"{row.group}  " if row.group and value not in _in_family(row).split() else ""


class Column(NamedTuple):
    """A column of the list."""

    key: str
    """As in :data:`tui.run_list.filter.COLUMNS`."""
    title: str
    cells: int
    least_width: int = 0
    """Of the list, at which the column is shown."""
    is_right: bool = False


_COLUMNS = (
    Column("name", "name", 0),
    Column("kind", "kind", 15, 66),
    Column("data", "data", 9, 92),
    Column("progress", "progress", BAR_WORDS + LEAST_BAR),
    Column("clean", "clean %", 8, is_right=True),
    Column("robust", "robust %", 9, is_right=True),
    Column("age", "age", 6, is_right=True),
    Column("took", "took", 11, 84, is_right=True),
)


@dataclass(frozen=True)
class Lead:
    """What stands before the columns of a row, apart from its state."""

    is_current: bool = False
    is_marked: bool = False
    is_folded: bool | None = None
    """None for a run without children in the list."""


class ListLines:
    """Draws the head and the rows of a list, all with the same columns.

    Args:
        width: cells of the list.
        longest_at: cells of the longest unusual ε in it.
        palette: the styles.
    """

    def __init__(self, width: int, longest_at: int, palette: Palette) -> None:
        self._palette = palette
        self._at_cells = 0
        if longest_at:  # of @16/255, in a narrow list of the mark ε
            self._at_cells = longest_at + len("@") if width >= WIDE else 1
        self.columns = self._fitted(width)

    def _fitted(self, width: int) -> Sequence[Column]:
        """The columns that are shown, with their widths; the name has what the others leave."""
        shown = [column for column in _COLUMNS if width >= column.least_width]
        cells = {column.key: column.cells for column in shown}
        cells["robust"] += self._at_cells
        cells["progress"] += min(max((width - WIDE_BAR_FROM) // 2, 0), MOST_BAR - LEAST_BAR)
        cells["name"] = max(8, width - LEAD - sum(cells.values()) - 1)
        return [column._replace(cells=cells[column.key]) for column in shown]

    def column_at(self, x: int) -> str | None:
        """The key of the column whose head is drawn at ``x``; None left of all heads."""
        end = LEAD
        if FOLD.stop <= x < end:
            return "state"
        for column in self.columns:
            if end <= x < end + column.cells:
                return column.key
            end += column.cells
        return None

    def head(self, sorted_by: str, *, turned: bool) -> list[Segment]:
        """The titles of the columns, with an arrow at the one by which the rows are sorted."""
        accent, dim = Style.parse(self._palette.accent), Style.parse(self._palette.dim)
        arrow = "↑" if turned else "↓"
        is_by_state = sorted_by == "state"  # its glyph is the last of the cells before the columns
        segments = [Segment(f"{arrow if is_by_state else '':>{LEAD - 1}} ", accent)]
        for key, title, cells, _, is_right in self.columns:
            text, behind = title, self._at_cells if key == "robust" else 0
            if key == sorted_by:  # rather than the arrow the title loses its end
                whole = len(title) + 3 <= cells - behind
                text = f"{title if whole else title.split()[0]} {arrow}"
            text += " " * behind
            style = accent if key == sorted_by else dim
            segments.append(Segment(_fit(text, cells, is_right), style))
        return segments

    def row(self, row: Row, depth: int, lead: Lead, now: float) -> list[Segment]:
        """The line of a run at a depth; ``now``: unix seconds."""
        palette = self._palette
        glyph, colour = palette.state(row.state)
        fold = {None: " ", True: "▸", False: "▾"}[lead.is_folded]
        normal, dim = Style.parse(palette.text), Style.parse(palette.dim)
        accent = Style.parse(palette.accent)
        segments = [
            Segment("▌" if lead.is_current else " ", accent),
            Segment("*" if lead.is_marked else " ", accent),
            Segment(f"{fold} ", dim),
            Segment(glyph if row.warnings else f"{glyph} ", Style.parse(colour)),
        ]
        if row.warnings:
            segments.append(Segment("!", Style.parse(palette.warn)))
        figures = normal if row.on_test else dim
        for key, _, cells, _, is_right in self.columns:
            if key == "progress" and row.is_live:
                segments += self._progress(row, cells)
                continue
            text, style = self._cell(row, key, now), dim
            if key == "name":
                text, style = "  " * depth + text, normal
            elif key in ("clean", "robust"):
                style = figures
            segments.append(Segment(_fit(text, cells, is_right), style))
        return segments

    def _cell(self, row: Row, key: str, now: float) -> str:
        match key:
            case "name":
                tags = "".join(f" #{tag}" for tag in row.tags)
                return clean(_grouped(row) + _in_family(row) + tags, 200)
            case "kind":
                return clean(row.what, 40)
            case "data":
                return clean(row.data, 20)
            case "progress":
                return clean(row.progress or row.state, 40)
            case "clean" | "robust":
                value = row.clean if key == "clean" else row.robust
                if value is None:
                    return ""
                figure = percent(value) + (" " if row.on_test else "v")
                return figure if key == "clean" else figure + self._budget(row)
            case "age":
                return short_ago(row.created, now)
            case _:
                return "" if row.seconds is None else duration(row.seconds)

    def _budget(self, row: Row) -> str:
        """An unusual ε behind a robust accuracy, as wide in every row."""
        at = "" if not row.at else f"@{row.at}" if self._at_cells > 1 else "ε"
        return f"{at:<{self._at_cells}}"

    def _progress(self, row: Row, size: int) -> list[Segment]:
        """The progress of a live run: a bar where it has room, and its words."""
        words = clean(row.progress or row.state, 40)
        cells = size - BAR_WORDS
        style = Style.parse(self._palette.text)
        if row.done is None or row.state == "queued" or cell_len(words) > BAR_WORDS - 2:
            return [Segment(_fit(words, size, False), style)]
        tones = bar(row.done, cells, self._palette)
        segments = [Segment(text, Style.parse(tone)) for text, tone in tones]
        return [*segments, Segment(_fit(f" {words}", size - cells, False), style)]


def _fit(text: str, size: int, is_right: bool) -> str:
    """``text`` in exactly ``size`` cells, the last (or first) of them blank."""
    room = size - 1
    if cell_len(text) > room:
        text = set_cell_size(text, max(room - 1, 0)) + "…"
    pad = " " * (size - cell_len(text))
    return pad + text if is_right else text + pad
