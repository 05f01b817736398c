"""The points of a sweep: which there are, and the runs that carry them out.

``points.json`` in the sweep's folder holds the run of each point; whoever starts the points writes
it. ``added.json`` holds the grids that were added later; ``advtui sweep --add`` writes it.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runs.errors import UserError
from runs.jsonfiles import read_json, write_json
from runs.overrides import override
from runs.run_state import LIVE
from runs.spec import Job, StudySpec, SweepSpec, TrainSpec, outcome_fields
from runs.store import Run, Store
from runs.study_children import is_reusable

POINTS_FILE, ADDED_FILE = "points.json", "added.json"
MOST_POINTS = 20_000
ROLE = "point"
_PLACE = ("device", "devices", "threads", "share", "stall_minutes", "on_stall", "retries", "slurm")
"""Fields that the points take from the sweep; all others are those of its base."""


class Point(NamedTuple):
    """One combination of the grid's values, with its seed; None: that of the base."""

    values: Mapping[str, Any]
    seed: int | None = None

    @property
    def title(self) -> str:
        """``recipe=trades awp_gamma=0.005 seed 1``."""
        parts = [f"{name}={_text(value)}" for name, value in self.values.items()]
        return " ".join([*parts, *([] if self.seed is None else [f"seed {self.seed}"])])

    @property
    def key(self) -> str:
        """Equal points have equal keys."""
        return json.dumps([dict(self.values), self.seed], sort_keys=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def points_of(run: Run, spec: SweepSpec) -> list[Point]:
    """All points of a sweep, those added later last; equal ones once."""
    added = (read_json(run.path / ADDED_FILE) or {}).get("grids", [])
    grids = [(spec.grid, spec.seeds)]
    grids += [(grid["grid"], grid["seeds"]) for grid in added if isinstance(grid, dict)]
    points = itertools.chain.from_iterable(combinations(*grid) for grid in grids)
    return list({point.key: point for point in points}.values())


def addition(run: Run) -> int:
    """A number that changes when a grid is added to a sweep."""
    try:
        return (run.path / ADDED_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def combinations(grid: Mapping[str, Sequence[Any]], seeds: Sequence[int]) -> Iterator[Point]:
    """The points of a grid: all seeds of a combination follow each other."""
    for values in itertools.product(*grid.values()):
        for seed in seeds or (None,):
            yield Point(dict(zip(grid, values, strict=True)), seed)


def point_spec(spec: SweepSpec, point: Point) -> TrainSpec | StudySpec:
    """What the run of a point is asked to do.

    Raises:
        UserError: the base has no such field, or the value does not go with it.
    """
    shared = {name: getattr(spec, name) for name in _PLACE}
    changes = {**point.values, **({} if point.seed is None else {"seed": point.seed})}
    if isinstance(spec.base, StudySpec):
        changed: TrainSpec | StudySpec = override(spec.base, changes)
    else:
        changed = override(spec.base, changes)
    return changed.model_copy(update={**shared, "name": point.title or None})


def check_points(spec: SweepSpec, points: Sequence[Point]) -> None:
    """Refuse points that can't be carried out.

    Raises:
        UserError: a value does not go with the base, or there are too many points.
    """
    if len(points) > MOST_POINTS:
        raise UserError(f"the grid has {len(points)} points; a sweep takes {MOST_POINTS}")
    for point in points:
        try:
            point_spec(spec, point)
        except UserError as error:
            raise UserError(f"{point.title}: {error}", exit_code=error.exit_code) from None


def add_points(run: Run, grid: Mapping[str, Sequence[Any]], seeds: Sequence[int]) -> int:
    """Add a grid to a sweep, whether it is at work or not; the number of new points.

    Raises:
        UserError: a value does not go with the sweep's base; nothing is added.
        StorageError: the sweep's folder can't be written.
    """
    spec = sweep_spec(run)
    before = points_of(run, spec)
    known = {point.key for point in before}
    new = [point for point in combinations(grid, seeds) if point.key not in known]
    check_points(spec.model_copy(update={"grid": dict(grid), "seeds": tuple(seeds)}), new)
    if len(before) + len(new) > MOST_POINTS:
        raise UserError(f"the sweep would have more than {MOST_POINTS} points")
    grids = (read_json(run.path / ADDED_FILE) or {}).get("grids", [])
    more = {"grid": {name: list(values) for name, values in grid.items()}, "seeds": list(seeds)}
    if new:
        write_json(run.path / ADDED_FILE, {"v": 1, "grids": [*grids, more]})
    return len(new)


def sweep_spec(run: Run) -> SweepSpec:
    """The spec of a sweep.

    Raises:
        UserError: the run is another, or its spec can't be read.
    """
    spec = run.spec
    if not isinstance(spec, SweepSpec):
        raise UserError(f"{run.id} is a {run.kind} run; a sweep is expected")
    return spec


class PointRuns:
    """The runs of a sweep's points; writes ``points.json``.

    Args:
        store: of the home.
        sweep: the sweep.
        spec: of the sweep.
    """

    def __init__(self, store: Store, sweep: Run, spec: SweepSpec) -> None:
        self._store, self._sweep, self._spec = store, sweep, spec
        self._path = sweep.path / POINTS_FILE
        self._runs = run_ids(sweep)
        self._equal: dict[str, Run] | None = None
        self.new: list[Run] = []
        """The runs that were created here."""

    def known(self, point: Point) -> Run | None:
        """The run of a point; None where it has none yet."""
        run_id = self._runs.get(point.key)
        run = None if run_id is None else Run(self._store.folder / run_id)
        return run if run is not None and run.raw_spec else None

    def run_of(self, point: Point) -> Run:
        """The run of a point: the known one, else an equal one of the home, else a new one.

        Raises:
            UserError: the home can't be written.
        """
        if (known := self.known(point)) is not None:
            return known
        spec = point_spec(self._spec, point)
        run = self._equal_run(spec) if self._spec.reuse else None
        if run is None:
            run = self._store.create(spec, parent=self._sweep.id, role=ROLE)
            self.new.append(run)
        self._runs[point.key] = run.id
        write_json(self._path, {"v": 1, "runs": self._runs})
        return run

    def _equal_run(self, spec: TrainSpec | StudySpec) -> Run | None:
        """A completed run of the home with an equal spec; those of the home are read once."""
        if self._equal is None:
            self._equal = {}
            for run in self._store.runs():
                if run.kind == spec.kind and is_reusable(run):
                    try:
                        self._equal.setdefault(_outcome(run.spec), run)
                    except UserError:  # of another version
                        continue
        return self._equal.get(_outcome(spec))


def _outcome(spec: Job) -> str:
    return json.dumps(outcome_fields(spec), sort_keys=True)  # type: ignore[arg-type]


def run_ids(sweep: Run) -> dict[str, str]:
    """The id of the run of each point that has one, by the key of the point."""
    found = (read_json(sweep.path / POINTS_FILE) or {}).get("runs")
    if not isinstance(found, dict):
        return {}
    return {key: run_id for key, run_id in found.items() if isinstance(run_id, str)}


def reopen(sweep: Run) -> None:
    """Let a sweep that has ended go on with new points: it is then lost until it is started."""
    if sweep.state() not in LIVE:
        (sweep.path / "result.json").unlink(missing_ok=True)
