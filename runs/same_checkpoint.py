"""Rows of a table that are about one and the same state of a network.

The best clean and the best robust checkpoint of a training may hold the same epoch. A table then
counts one network twice. The training says so, with the step of each checkpoint; equal figures
alone prove nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from runs.events import last_events
from runs.result_types import KeptCheckpoint, Row, SameCheckpoint, Table
from runs.store import Run


def same_checkpoints(folder: Path, rows: Sequence[Row]) -> list[SameCheckpoint]:
    """Each row whose checkpoint is that of a row above it.

    Args:
        folder: of the runs.
        rows: of a comparison table. A row of which it is not known what its checkpoint held when
            it was evaluated is left out.
    """
    first: dict[tuple[str, int], Row] = {}
    found: list[SameCheckpoint] = []
    for row, run, kept in _known(folder, rows):
        above = first.setdefault((run, kept["step"]), row)
        if above is not row:
            found.append(
                {
                    "run": run,
                    "checkpoint": row.get("checkpoint") or "",
                    "model": row["model"],
                    "same_as": above["model"],
                    "epoch": kept["epoch"],
                }
            )
    return found


def repeats_another(table: Table) -> Callable[[Row], bool]:
    """A function that says of a row of the table whether its checkpoint is that of a row above."""
    repeated = {(same["run"], same["checkpoint"]) for same in table.get("same_checkpoints", [])}
    return lambda row: (row.get("run"), row.get("checkpoint")) in repeated


def _known(folder: Path, rows: Sequence[Row]) -> Iterator[tuple[Row, str, KeptCheckpoint]]:
    """The rows with their training, and what the checkpoint held when it was attacked."""
    for row in rows:
        run, evaluation = row.get("run"), row.get("evaluation")
        if run is None or evaluation is None:
            continue
        training = Run(folder / run)
        result = training.result
        checkpoints = result.get("checkpoints", {}) if result else {}
        kept = checkpoints.get(row.get("checkpoint") or "")
        if kept is not None and _ended_before(training, Run(folder / evaluation)):
            yield row, run, kept


def _ended_before(training: Run, attack: Run) -> bool:
    """Whether a training wrote nothing more after an attack run on it was created."""
    events = last_events(training.events_path)
    return bool(events) and events[-1]["t"] <= attack.created
