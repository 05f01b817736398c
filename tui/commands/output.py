"""Output of the commands: results on stdout, sentences for a person on stderr."""

import sys

from rich.console import Console
from rich.segment import Segment, Segments

from runs.result_types import Table
from runs.results import own_table
from runs.store import Run
from tui.charts.eps_curve import chart_lines, eps_charts
from tui.commands.plain_output import print_json
from tui.render.checkpoint_table import kept_checkpoints
from tui.render.comparison_table import comparison, eps_overview
from tui.render.palette import TERMINAL
from tui.render.sanity_table import SanityPanel

CHART_WIDTH, PIPE_CHART_WIDTH = 120, 80
"""Width of a chart in cells: at most this on a terminal; exactly this in a pipe."""


def print_result(run: Run, *, as_json: bool) -> None:
    """Print the result of a run: the comparison table, or the checkpoints of a training.

    As JSON: the object of ``result.json`` with the run's id, in one line.
    """
    if as_json:
        result_json = {"run": run.id, **(run.raw_result or {})}
        print_json(result_json, indent=None)
        return
    console, table = stdout_console(), own_table(run)
    if run.kind == "sweep":
        from runs.sweep_table import sweep_table  # brings pydantic, which a training does not need
        from tui.render.sweep_table import sweep_comparison

        console.print()
        console.print(sweep_comparison(sweep_table(run)))
        return
    result = run.result
    if result is None:
        return
    if table is not None:
        console.print()
        print_comparison(console, table)
        console.print()
        console.print(SanityPanel(result.get("sanity", [])))
    elif checkpoints := result.get("checkpoints"):
        console.print()
        console.print(kept_checkpoints(checkpoints))


def print_comparison(console: Console, data: Table) -> None:
    """Print the comparison table with its footnotes; with several ε first overview and charts."""
    if overview := eps_overview(data):
        console.print(overview)
        width = min(console.width, CHART_WIDTH) if console.is_terminal else PIPE_CHART_WIDTH
        for chart in eps_charts(data):
            for line in ([], *chart_lines(chart, width, TERMINAL)):
                console.print(Segments([*line, Segment.line()]), end="")
        console.print()
    console.print(comparison(data))


def stdout_console() -> Console:
    """A console with styles on a terminal; in a pipe plain text, 140 columns wide."""
    wide = None if sys.stdout.isatty() else 140
    return Console(width=wide, markup=False, highlight=False, emoji=False)
