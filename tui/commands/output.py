"""What the commands print: results on stdout, sentences for a person on stderr."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments

from runs.store import Run, Store
from tui.charts.eps_curve import chart_lines, eps_charts
from tui.render.comparison_table import comparison
from tui.render.palette import TERMINAL
from tui.render.run_table import kept_checkpoints
from tui.render.sanity_table import sanity
from tui.render.text import clean


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(clean(text, 2000), file=sys.stderr, flush=True)


def open_store(home: Path | None) -> Store:
    """The home that was named, by option or environment, else the default one."""
    return Store(home.expanduser() if home else None)


CHART_WIDTH, PIPE_CHART_WIDTH = 120, 80
"""Cells of a chart: at most, on a terminal; and in a pipe."""


def print_result(run: Run, result: dict[str, Any], *, as_json: bool) -> None:
    """What came of a run, on stdout: the comparison table, or a training's checkpoints."""
    if as_json:
        print(json.dumps({"run": run.id, **result}, ensure_ascii=False), flush=True)
        return
    console = stdout_console()
    if "rows" in result:
        print_comparison(console, result)
        console.print(sanity(result.get("sanity", [])))
    elif result.get("checkpoints"):
        console.print(kept_checkpoints(result))


def print_comparison(console: Console, data: dict[str, Any]) -> None:
    """The comparison table with its footnotes; beneath, where there are several ε, its charts."""
    console.print(comparison(data))
    width = min(console.width, CHART_WIDTH) if console.is_terminal else PIPE_CHART_WIDTH
    for chart in eps_charts(data):
        for line in (*chart_lines(chart, width, TERMINAL), []):
            console.print(Segments([*line, Segment.line()]), end="")


def stdout_console() -> Console:
    """Styled on a terminal; in a pipe plain text, wide enough not to be cut."""
    wide = None if sys.stdout.isatty() else 140
    return Console(width=wide, markup=False, highlight=False, emoji=False)
