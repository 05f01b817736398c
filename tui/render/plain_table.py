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
    """The first table where it fits the width, else the second."""

    def __init__(self, first: Table, second: Table) -> None:
        self._first, self._second = first, second

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = Measurement.get(console, options.update(max_width=10_000), self._first).minimum
        yield self._first if needed <= options.max_width else self._second
