"""A row of the run list: what a list shows of one run, read from its files.

What can't be read is told in the row: one foreign folder must not hide the others.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from runs.events import last_events
from runs.snapshot import Snapshot
from runs.store import LIVE, Run
from tui.render.text import clean


@dataclass(frozen=True)
class Row:
    """What a list shows of one run; shares lie in [0, 1], times are unix seconds."""

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
    progress: str = ""
    done: float | None = None
    """Share of the work done, where it is known."""
    clean: float | None = None
    robust: float | None = None
    on_test: bool = False
    """Whether ``clean`` and ``robust`` are of the test split, not of the validation split."""
    tags: tuple[str, ...] = ()
    note: str = ""
    error: str = ""

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    @property
    def title(self) -> str:
        """The run's own name, else what it is."""
        return self.name or self.role or self.mode or self.kind

    @property
    def what(self) -> str:
        """``train robust``, ``attack``, ``study``."""
        return f"{self.kind} {self.mode}".strip()


def read_row(run: Run, snapshot: Snapshot | None = None, now: float | None = None) -> Row:
    """The row of a run, from its files; ``snapshot`` spares reading a live run's events.

    What can't be read is told in the row: a foreign folder must not hide the others.
    """
    try:
        return _row(run, snapshot, time.time() if now is None else now)
    except Exception as error:
        return Row(run.id, error=clean(f"can't be read: {error!r}"))


def _row(run: Run, snapshot: Snapshot | None, now: float) -> Row:
    spec, result, meta = run.raw_spec, run.result or {}, run.meta
    state = run.state(now)
    clean_share, robust, on_test = _figures(run, result, snapshot)
    progress, done = _progress(run, result, snapshot)
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
        seconds=now - run.created if state in LIVE else number(result.get("seconds")),
        progress=clean(progress, 40),
        done=number(done),
        clean=number(clean_share),
        robust=number(robust),
        on_test=on_test,
        tags=tuple(clean(tag, 60) for tag in meta["tags"]),
        note=clean(meta.get("note") or "", 500),
        error=_error(result),
    )


def number(value: Any) -> float | None:
    """A finite number as a float; None for whatever else a file may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return None
    return float(value)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def last_metrics(run: Run) -> dict[str, Any]:
    """The values of a training's last whole epoch, with ``epoch``; {} where there is none."""
    if run.kind != "train":
        return {}
    if last := (run.result or {}).get("last"):
        return dict(last)
    for event in reversed(last_events(run.events_path, holding=_is_epoch)):
        if _is_epoch(event):
            return {"epoch": event["epoch"], **event["values"]}
    return {}


def _is_epoch(event: Mapping[str, Any]) -> bool:
    return (
        event["kind"] == "metric"
        and event.get("every") == "epoch"
        and isinstance(event.get("epoch"), int)
        and isinstance(event.get("values"), dict)
    )


def _figures(
    run: Run, result: Mapping[str, Any], snapshot: Snapshot | None
) -> tuple[float | None, float | None, bool]:
    """Clean and robust accuracy: of the table's last row, else of the last validation."""
    rows = result.get("rows")
    if isinstance(rows, list) and rows:
        cells = [
            cell
            for value in rows[-1].get("attacks", {}).values()
            for cell in (value if isinstance(value, list) else [value])
        ]
        found = [number(cell.get("robust_accuracy")) for cell in cells]
        robust = [share for share in found if share is not None]
        return rows[-1].get("accuracy"), min(robust, default=None), True
    if snapshot is not None and not result:
        last = snapshot.epochs[-1].get("values", {}) if snapshot.epochs else {}
    else:
        last = last_metrics(run)
    return last.get("val_accuracy"), last.get("val_robust_accuracy"), False


def _progress(
    run: Run, result: Mapping[str, Any], snapshot: Snapshot | None
) -> tuple[str, float | None]:
    if result.get("state") == "completed":
        epochs = run.raw_spec.get("epochs")
        return (f"{epochs}/{epochs}" if run.kind == "train" else "done"), 1.0
    if run.kind == "train":
        epochs = int(run.raw_spec.get("epochs") or 0)
        whole = snapshot.epochs[-1]["epoch"] + 1 if snapshot and snapshot.epochs else None
        if snapshot is None:
            whole = last_metrics(run).get("epoch", -1) + 1
        share = training_share(snapshot) if snapshot else (whole or 0) / max(epochs, 1)
        return f"{whole or 0}/{epochs}", share
    if run.kind == "attack" and snapshot is not None:
        share = attack_share(run, snapshot)
        return f"{100 * share:.0f} %", share
    return "", None


def training_share(snapshot: Snapshot) -> float:
    """Share of a training that is done, by its last progress event; in [0, 1]."""
    progress = snapshot.progress
    if not progress or not progress.get("epochs"):
        return 0.0
    within = progress["done"] / max(progress["total"], 1) if progress["task"] == "train" else 1.0
    return min(1.0, float((progress["epoch"] + within) / progress["epochs"]))


def attack_share(run: Run, snapshot: Snapshot) -> float:
    """Share of an attack run that is done, every model × attack counting alike; in [0, 1]."""
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
    """Labels of what an attack run attacks, from spec.json as it stands."""
    references = (*dicts(spec.get("checkpoints")), *dicts(spec.get("models")))
    return [str(one.get("label")) for one in references]


def _pair_share(snapshot: Snapshot, label: str, attack: Mapping[str, Any], levels: int) -> float:
    """By its own event, else by those of its parts: an ε of a curve, a stage of AutoAttack."""
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


def _error(result: Mapping[str, Any]) -> str:
    error = result.get("error")
    return clean(error.get("message", ""), 2000) if isinstance(error, dict) else ""
