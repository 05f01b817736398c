"""A row of the run list: what the list shows of one run, read from its files.

An error in reading a run becomes the row's error, so that the other runs stay visible.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from runs.damage import unreadable_at_once, words
from runs.durations import durations_of
from runs.events import OF_EPOCH, last_event_like, warning_texts
from runs.headline import Budget, headline, validation_budget
from runs.result_types import Result
from runs.run_state import LIVE, may_return
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.queue_text import queue_place
from tui.render.silence_text import silence, silent_worker
from tui.render.text import clean


@dataclass(frozen=True)
class Row:
    """What the list shows of one run; shares lie in [0, 1], times are unix seconds."""

    id: str
    name: str = ""
    kind: str = "unknown"
    mode: str = ""
    role: str = ""
    parent: str | None = None
    data: str = ""
    state: str = "lost"
    created: float = 0.0
    seconds: float | None = None
    """Working time over all attempts."""
    waited: float | None = None
    """Waiting time over all attempts."""
    progress: str = ""
    place: str = ""
    """Of a queued run: ``2nd, behind “night”``."""
    done: float | None = None
    """Share of the work done, where it is known."""
    clean: float | None = None
    robust: float | None = None
    at: str = ""
    """ε of ``robust`` where it is not the usual one: ``16/255``."""
    on_test: bool = False
    """Whether ``clean`` and ``robust`` are of the test split, not of the validation split."""
    group: str = ""
    """Its value of the field by which the list is grouped: ``recipe trades``."""
    may_return: bool = False
    """Whether it has stopped, but is a job that Slurm may hand out again."""
    tags: tuple[str, ...] = ()
    note: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()
    """What casts doubt on its outcome."""
    last_sign: float = 0.0
    """Of an unresponsive or lost run: unix seconds of its last event."""
    worker: str = ""
    """Of such a run; see :func:`tui.render.silence_text.silent_worker`."""
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Its spec.json as it stands; a spec is written once, so that rows need not compare it."""

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    def silence(self, now: float) -> str:
        """Since when it gives no sign of life, and where its worker is; empty for other states."""
        return silence(self.state, self.worker, self.last_sign, now)

    @property
    def has_models(self) -> bool:
        """Whether it is of a kind that leaves models, which an attack run takes."""
        return self.kind in ("study", "train")

    @property
    def is_scored(self) -> bool:
        """Whether it has an accuracy, and so a checkpoint."""
        return self.clean is not None

    @property
    def title(self) -> str:
        """The run's name, else its role, mode or kind."""
        return self.name or self.role or self.mode or self.kind

    @property
    def label(self) -> str:
        """The title; without a name, and outside a study, with the id's end: ``attack 3f9a``."""
        is_ambiguous = not self.name and self.parent is None
        return f"{self.title} {self.id[-4:]}" if is_ambiguous else self.title

    @property
    def what(self) -> str:
        """``train robust``, ``attack``, ``study``."""
        return f"{self.kind} {self.mode}".strip()


def read_row(run: Run, snapshot: Snapshot | None = None, now: float | None = None) -> Row:
    """The row of a run, from its files.

    With a ``snapshot`` the events of a live run are not read again. Never raises: an error in
    reading becomes the row's error.
    """
    try:
        return _row(run, snapshot, time.time() if now is None else now)
    except Exception as error:
        return Row(run.id, error=clean(f"can't be read: {error!r}"))


def _row(run: Run, snapshot: Snapshot | None, now: float) -> Row:
    spec, result, meta = run.raw_spec, run.result, run.meta
    state = run.state(now)
    found = figures(run, result, snapshot)
    progress, done = _progress(run, result, snapshot)
    worked, waited = _durations(run, result, snapshot, now if state in LIVE else None)
    damage = words(unreadable_at_once(run, has_result=result is not None))
    place = queue_place(run, state)
    if place:
        in_slurm = place.startswith("in Slurm")
        progress = "in Slurm" if in_slurm else f"{place.partition(',')[0]} in queue"
    return Row(
        id=run.id,
        name=clean(run.name or "", 200),
        kind=clean(run.kind, 20),
        mode=clean(run.mode or "", 20),
        role=clean(run.role or "", 20),
        parent=run.parent if isinstance(run.parent, str) else None,
        data=clean(PurePath(str(spec.get("data") or "")).name, 20),  # a folder by its own name
        state=state,
        created=run.created,
        seconds=worked,
        waited=waited,
        progress=clean(progress, 40),
        place=place,
        done=number(done),
        clean=number(found.clean),
        robust=number(found.robust),
        at=found.at,
        on_test=found.on_test,
        may_return=state in ("interrupted", "lost") and may_return(run),
        tags=tuple(clean(tag, 60) for tag in meta["tags"]),
        note=clean(meta.get("note") or "", 500),
        error=_error(result),
        warnings=(*damage, *_warnings(result, snapshot)),
        last_sign=run.last_sign if state in ("unresponsive", "lost") else 0.0,
        worker=silent_worker(run, state),
        spec=spec,
    )


def number(value: Any) -> float | None:
    """A finite number as a float; None for any other value of a file."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return float(value)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list of a file; [] where the file holds no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def last_metrics(run: Run, result: Result | None) -> dict[str, Any]:
    """The values of a training's last whole epoch, with ``epoch``; {} where there is none."""
    if run.kind != "train":
        return {}
    if result is not None and (last := result.get("last")):
        return dict(last)
    event = last_event_like(run.events_path, OF_EPOCH)
    if event is None or event["kind"] != "metric":
        return {}
    return {"epoch": event["epoch"], **event["values"]}


class Figures(NamedTuple):
    """Clean and robust accuracy of a run, as in the list."""

    clean: float | None
    robust: float | None
    on_test: bool
    """Whether they are of the test split, by a table, not of the last validation."""
    budget: Budget
    """Of the attacks behind ``robust``."""
    at: str
    """``16/255`` where the ε is not the usual one of the data set."""


def figures(run: Run, result: Result | None, snapshot: Snapshot | None = None) -> Figures:
    """The figures of the table's last row, else of the last validation."""
    data = run.data or ""
    if result is not None and (rows := result.get("rows")):
        robust, budget = headline(rows[-1], result.get("threat_model"), data)
        return Figures(rows[-1]["accuracy"], robust, True, budget, budget.unusual(data))
    last: Mapping[str, float | None]
    if snapshot is not None and result is None:
        last = snapshot.epochs[-1]["values"] if snapshot.epochs else {}
    else:
        last = last_metrics(run, result)
    robust, budget = last.get("val_robust_accuracy"), validation_budget(run.raw_spec)
    at = "" if robust is None else budget.unusual(data)
    return Figures(last.get("val_accuracy"), robust, False, budget, at)


def _progress(
    run: Run, result: Result | None, snapshot: Snapshot | None
) -> tuple[str, float | None]:
    if result is not None and result["state"] == "completed":
        epochs = run.epochs
        return (f"{epochs}/{epochs}" if run.kind == "train" else "done"), 1.0
    if run.kind == "train":
        epochs = run.epochs or 0
        whole = snapshot.epochs[-1]["epoch"] + 1 if snapshot and snapshot.epochs else None
        if snapshot is None:
            whole = last_metrics(run, result).get("epoch", -1) + 1
        share = training_share(snapshot) if snapshot else (whole or 0) / max(epochs, 1)
        return f"{whole or 0}/{epochs}", share
    if run.kind == "attack" and snapshot is not None:
        share = attack_share(run, snapshot)
        return f"{100 * share:.0f} %", share
    return "", None


def training_share(snapshot: Snapshot) -> float:
    """Done share of a training in [0, 1], by its last progress event."""
    progress = snapshot.progress
    if progress is None or "epoch" not in progress or not (epochs := progress.get("epochs")):
        return 0.0
    within = progress["done"] / max(progress["total"], 1) if progress["task"] == "train" else 1.0
    return min(1.0, (progress["epoch"] + within) / epochs)


def attack_share(run: Run, snapshot: Snapshot) -> float:
    """Done share of an attack run in [0, 1]; each model × attack has the same weight."""
    spec = run.raw_spec
    labels = row_labels(spec)
    attacks = dicts(spec.get("attacks"))
    epsilons = spec.get("epsilons")
    levels = len(epsilons) if isinstance(epsilons, list) and epsilons else 1
    shares = [
        _pair_share(snapshot, label, attack, levels) for label in labels for attack in attacks
    ]
    return min(1.0, sum(shares) / max(len(shares), 1))


def row_labels(spec: Mapping[str, Any]) -> list[str]:
    """Labels of the models of an attack run, from spec.json without validation."""
    references = (*dicts(spec.get("checkpoints")), *dicts(spec.get("models")))
    return [str(reference.get("label")) for reference in references]


def _pair_share(snapshot: Snapshot, label: str, attack: Mapping[str, Any], levels: int) -> float:
    """Done share of one model × attack, by its event or those of its ε and AutoAttack stages."""
    name = str(attack.get("name"))
    own = snapshot.attacks.get((label, name))
    if own is not None:
        return float(own["done"] / max(own["total"], 1))
    parts = [
        event["done"] / max(event["total"], 1)
        for (model, part), event in snapshot.attacks.items()
        if model == label and part.startswith(f"{name} ")
    ]
    expected = levels
    if attack.get("method") == "autoattack":
        from runs.attacks import AUTOATTACK_STAGES  # brings pydantic, which a list does not need

        expected *= len(AUTOATTACK_STAGES)
    return float(sum(parts)) / max(expected, len(parts))


LARGE = 1_000_000
"""Bytes of events that are not read at once for the durations of a live run."""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # no event yet
        return 0


def _durations(
    run: Run, result: Result | None, snapshot: Snapshot | None, now: float | None
) -> tuple[float | None, float | None]:
    """Working and waiting time; ``now`` of a live run. None for a time that is still nothing."""
    if snapshot is None and now is not None and _size(run.events_path) > LARGE:
        return None, None  # until its events have been read
    timeline = None if snapshot is None else snapshot.timeline
    worked, waited = map(number, durations_of(run, result, timeline, now))
    return worked or None, waited or None


def _warnings(result: Result | None, snapshot: Snapshot | None) -> tuple[str, ...]:
    if result is not None:
        texts = result.get("warnings", [])
    else:
        texts = warning_texts(snapshot.notices) if snapshot else []
    return tuple(clean(text, 500) for text in texts)


def _error(result: Result | None) -> str:
    error = None if result is None else result.get("error")
    return clean(error["message"], 2000) if error else ""
