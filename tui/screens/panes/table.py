"""The comparison table with the charts of its ε-curves, as lines. Knows no widget."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.segment import Segment
from rich.text import Text

from runs.result_types import Table
from runs.store import Run
from tui.charts.eps_curve import chart_lines, eps_charts
from tui.charts.plot import Cells
from tui.render.checkpoint_table import kept_checkpoints
from tui.render.comparison_table import comparison_table, eps_overview
from tui.render.lines import Line, lines_of
from tui.render.palette import Palette
from tui.render.rate_table import ModelRates
from tui.render.sanity_table import SanityPanel
from tui.render.table_notes import Fold, comparison_notes

LEAST, MOST = 36, 100
"""Cells of a chart beside the table; with less room the chart stands above the table."""
GAP = 3
"""Cells between the table and a chart beside it."""


def table_page(
    run: Run, table: Table | None, fold: Fold, width: int, palette: Palette
) -> Iterator[Line]:
    """The comparison table, the sanity checks, and the checkpoints of a training."""
    result = run.result
    if table:
        yield from comparison_lines(table, fold, width, palette)
    else:
        yield Text("no evaluation yet: the table comes with the attacks", palette.dim)
    if result is None:
        return
    if checks := result.get("sanity"):
        yield Text()
        yield from lines_of(SanityPanel(checks, palette), width)
    if checkpoints := result.get("checkpoints"):
        yield Text()
        yield from lines_of(kept_checkpoints(checkpoints, palette), width)


def comparison_lines(
    table: Table,
    fold: Fold,
    width: int,
    palette: Palette,
    others: Sequence[ModelRates] = (),
) -> Iterator[Line]:
    """The comparison table; with several ε below an overview, with its charts beside both.

    On a narrow screen the charts stand between the two. ``others`` are rows below those of the
    table, under its attacks.
    """
    notes: list[Line] = [Text(), *comparison_notes(table, fold, width, palette)]
    rates = [[], *lines_of(comparison_table(table, palette, others), width)]
    overview = eps_overview(table, palette)
    above = [[], *lines_of(overview, width)] if overview else []
    left = [*above, *rates]
    taken = max((Segment.get_line_length(line) for line in left), default=0) + GAP
    is_beside = width - taken >= LEAST
    room = min(width - taken, MOST) if is_beside else width
    drawn = charts_of(table, room, palette)
    if not (drawn and is_beside):
        yield from (*above, *drawn, *rates, *notes)
        return
    for line, beside in zip_longest(left, [*drawn, []], fillvalue=list[Segment]()):
        gap = " " * (taken - Segment.get_line_length(line)) if beside else ""
        yield [*line, Segment(gap), *beside]
    yield from notes


def charts_of(table: Table, width: int, palette: Palette) -> Cells:
    """The charts of the table's ε-curves, each after an empty line."""
    charts = eps_charts(table)
    return [line for chart in charts for line in ([], *chart_lines(chart, width, palette))]
