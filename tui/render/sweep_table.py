"""The table of a sweep as a Rich table: a row for each combination, the best first."""

from rich.console import Group, RenderableType
from rich.text import Text

from runs.sweep_table import SweepTable, cells, notes
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import Notes, plain_table
from tui.render.text import clean


def sweep_comparison(data: SweepTable, palette: Palette = TERMINAL) -> RenderableType:
    """The table of :func:`runs.sweep_table.sweep_table`, and its notes."""
    heads, body = cells(data)
    fields = len(data["fields"])
    columns = [
        (clean(head, 60).replace(", ", "\n"), "left" if n < fields else "right")
        for n, head in enumerate(heads)
    ]
    table = plain_table(*columns, palette=palette)
    for line in body:
        table.add_row(*(Text(clean(text, 60)) for text in line))
    return Group(table, Text(), Notes(notes(data), palette))
