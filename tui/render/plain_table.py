"""The common shape of the Rich tables and their notes, and a table that fits its width."""

from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tui.render.text import clean


def plain_table(*columns: tuple[str, str]) -> Table:
    """A table without vertical lines; a column is (title, justify)."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title, justify in columns:
        table.add_column(Text(title), justify=justify, no_wrap=title != "model")  # type: ignore[arg-type]
    return table


def dim_lines(notes: Iterable[str]) -> list[Text]:
    """The notes under a table."""
    return [Text(clean(note, 1000), style="dim") for note in notes]


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
