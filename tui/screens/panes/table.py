"""The comparison table on a screen, with the charts of its ε-curves. Data in, lines out."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from rich.segment import Segment
from rich.text import Text

from runs.store import Run
from tui.charts.eps_curve import chart_lines, eps_charts
from tui.charts.plot import Cells
from tui.render.comparison_table import comparison_notes, comparison_table
from tui.render.lines import Line, lines_of
from tui.render.palette import Palette
from tui.render.run_table import kept_checkpoints
from tui.render.sanity_table import sanity

LEAST, MOST = 36, 100
"""Cells of a chart beside the table; with less room it stands beneath the footnotes."""
GAP = 3
"""Cells between the table and a chart."""


def table_page(
    run: Run, data: Mapping[str, Any] | None, width: int, palette: Palette
) -> Iterator[Line]:
    """The comparison table, what a training has kept, the sanity checks."""
    result = run.result or {}
    if data:
        yield from comparison_lines(dict(data), width, palette)
    else:
        yield Text("no evaluation yet: the table comes with the attacks", palette.dim)
    if result.get("sanity"):
        yield Text()
        yield from lines_of(sanity(result["sanity"]), width)
    if result.get("checkpoints"):
        yield Text()
        yield from lines_of(kept_checkpoints(result), width)


def comparison_lines(data: dict[str, Any], width: int, palette: Palette) -> Iterator[Line]:
    """The comparison table; with several ε its charts beside it, or beneath where room is short."""
    table, notes = comparison_table(data), comparison_notes(data)
    left = lines_of(table, width)
    taken = max((Segment.get_line_length(line) for line in left), default=0) + GAP
    is_beside = width - taken >= LEAST
    room = min(width - taken, MOST) if is_beside else width
    drawn = charts_of(data, room, palette)
    if not (drawn and is_beside):
        yield from (*left, *lines_of(notes, width), *drawn)
        return
    for line, beside in zip_longest(left, [*drawn, []], fillvalue=list[Segment]()):
        gap = " " * (taken - Segment.get_line_length(line)) if beside else ""
        yield [*line, Segment(gap), *beside]
    yield from lines_of(notes, width)


def charts_of(data: Mapping[str, Any], width: int, palette: Palette) -> Cells:
    """The charts of its ε-curves alone, each after an empty line; none where there are none."""
    charts = eps_charts(data)
    return [line for chart in charts for line in ([], *chart_lines(chart, width, palette))]
