"""Add points to a sweep, whether it is at work or has ended, and print its table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runs.errors import UserError
from runs.run_state import LIVE
from runs.store import Store
from runs.sweep_points import add_points, reopen
from runs.sweep_table import FORMATS, sweep_table
from tui.commands.follow import resume_and_follow
from tui.commands.output import stdout_console
from tui.commands.plain_output import open_store, print_formatted, say
from tui.render.sweep_table import sweep_comparison


def add_to_sweep(
    word: str,
    grid: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    home: Path | None,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Add a grid to a sweep. One at work here takes it up; any other is started again.

    Raises:
        UserError: the run is no sweep, or a value does not go with its base; nothing is added.
        typer.Exit: with the exit code of the sweep, where it was started again.
    """
    run = open_store(home).find(word)
    number = add_points(run, grid, seeds)
    say(f"{number} new points for {run.id}" if number != 1 else f"1 new point for {run.id}")
    if not number:
        return
    if run.state() in LIVE and run.job is None:
        print(run.id)
        return
    reopen(run)
    resume_and_follow(run.id, home, {}, detach=detach, as_json=as_json)


def print_sweep(store: Store, words: Sequence[str], wanted: str) -> None:
    """Print the table of a sweep, as a table or in one of :data:`runs.sweep_table.FORMATS`.

    Raises:
        UserError: several runs are named: a sweep's rows are settings, not models.
    """
    if len(words) > 1:
        raise UserError("a sweep has a table of its own: compare it alone")
    table = sweep_table(store.find(words[0]))
    if wanted == "table":
        stdout_console().print(sweep_comparison(table))
    else:
        print_formatted(FORMATS[wanted](table), wanted)
