"""The common shape of the Rich tables and their notes, and a table that fits its width."""

from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tui.render.lines import wrapped
from tui.render.palette import TERMINAL, Palette
from tui.render.text import clean


def plain_table(*columns: tuple[str, str], palette: Palette = TERMINAL) -> Table:
    """A table without vertical lines; a column is (title, justify)."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),  # with one more cell of the box a gap of two
        header_style=palette.title,
        border_style=palette.faint,
    )
    for title, justify in columns:
        add_column(table, Text(title), justify)
    return table


def add_column(table: Table, head: Text, justify: str) -> None:
    """Add a column to a table; of all columns only that of the models may be wrapped."""
    table.add_column(head, justify=justify, no_wrap=head.plain != "model")  # type: ignore[arg-type]


def uncut(table: Table, *, wrapping: int = 0) -> Table:
    """The table, with columns that keep every line of a cell whole; the first ``wrapping`` wrap."""
    for column in table.columns[wrapping:]:
        texts = [text for text in (column.header, *column.cells) if isinstance(text, Text)]
        lines = [line.cell_len for text in texts for line in text.split()]
        column.min_width = max(lines, default=0)
    return table


class Notes:
    """The notes under a table; the second line of a long one is indented."""

    def __init__(self, notes: Iterable[str], palette: Palette = TERMINAL) -> None:
        self._notes = [Text(clean(note, 1000), palette.dim) for note in notes]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for note in self._notes:
            for line in wrapped(note, options.max_width, indent=2):
                line.rstrip()
                yield line


class Fitting:
    """The first of the tables that fits the width, else the last."""

    def __init__(self, *tables: Table) -> None:
        self._tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update(max_width=10_000)
        for table in self._tables[:-1]:
            if Measurement.get(console, unlimited, table).minimum <= options.max_width:
                yield table
                return
        yield self._tables[-1]
