"""What a logger gets of a run: its hyper-parameters, its curves, and the figures of its table.

Read from the run's files alone, with no logger's library. The figures are those of the events and
of the result, unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runs.event_types import MetricEvent
from runs.events import EventReader
from runs.jsonfiles import flattened
from runs.results import own_table
from runs.snapshot import Snapshot
from runs.store import Run, Store


@dataclass(frozen=True)
class Point:
    """One value of a curve."""

    name: str
    """``epoch/val_accuracy``, ``step/train_loss``, ``table/Baseline/accuracy``."""
    value: float
    step: int
    """Of ``epoch/…`` the epoch, of ``step/…`` the optimiser step, of ``table/…`` 0."""
    t: float
    """Unix seconds at which the run wrote it."""


@dataclass(frozen=True)
class Content:
    """All that a logger gets of one run."""

    run: str
    """Its id."""
    group: str | None
    """Id of the study or sweep above it; None of a run that was started by itself."""
    state: str
    parameters: dict[str, Any]
    """Each field of the spec under its dotted path, and the facts of the run under ``run.…``."""
    points: tuple[Point, ...]


class ContentReader:
    """Reads the content of a run again and again; its events are read once.

    Points that a resumed training repeats are those of the later attempt alone.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self._run, self._group = run, ancestor(store, run)
        self._events, self._snapshot = EventReader(run.events_path), Snapshot()

    def content(self) -> Content:
        """The content now."""
        run = self._run
        for event in self._events.all_new():
            self._snapshot.apply(event)
        facts = {"kind": run.kind, "role": run.role, "tags": " ".join(run.meta["tags"])}
        parameters = {
            **{path: value for path, value in flattened(run.raw_spec) if value is not None},
            **{f"run.{name}": value for name, value in facts.items() if value},
        }
        points = (*_curves(self._snapshot), *_figures(run, self._snapshot.last_t or run.created))
        return Content(run.id, self._group, str(run.state()), parameters, points)


def ancestor(store: Store, run: Run) -> str | None:
    """The id of the run that a person started, of which ``run`` is a child or a child's child."""
    seen, group = {run.id}, run.parent
    while group is not None and group not in seen:
        seen.add(group)
        above = Run(store.folder / group).parent
        if above is None:
            return group
        group = above
    return group


def _curves(snapshot: Snapshot) -> Iterator[Point]:
    """The metrics, in the order of their time."""
    both = sorted([*snapshot.steps, *snapshot.epochs], key=lambda event: event["t"])
    for event in both:
        yield from _points_of(event)


def _points_of(event: MetricEvent) -> Iterator[Point]:
    kind = event.get("every", "step")
    for name, value in event["values"].items():
        if value is not None:
            yield Point(f"{kind}/{name}", float(value), event[kind], event["t"])


def _figures(run: Run, t: float) -> Iterator[Point]:
    """The figures of a result: the table of an attack run or study, a training's checkpoints."""
    result = run.result
    if result is None:
        return
    for name, kept in result.get("checkpoints", {}).items():
        if (value := kept.get("value")) is not None:
            yield Point(f"checkpoint/{name}", float(value), kept["epoch"], t)
    table = own_table(run)
    for row in [] if table is None else table["rows"]:
        head = f"table/{row['model']}"
        if row["accuracy"] is not None:
            yield Point(f"{head}/accuracy", row["accuracy"], 0, t)
        for attack, cells in row["attacks"].items():
            for cell in cells:
                at = f" eps {cell['eps']:.4g}" if len(cells) > 1 else ""
                for figure in ("robust_accuracy", "success_rate"):
                    if (rate := cell[figure]) is not None:
                        yield Point(f"{head}/{attack}{at}/{figure}", rate, 0, t)
