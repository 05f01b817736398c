"""The remaining time of a run: one estimate for a training, an attack run, and a whole study.

Pure: from specs and snapshots alone, so that every reader computes the same, also of a run whose
worker was written by another version. Work is counted in forward passes of an image, by the spec.
A measured pace, in forward passes a second, makes seconds of it. Waiting for a device is not
counted. Knows no clock.
"""

import statistics
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

from runs.corruptions import NAMES as CORRUPTIONS
from runs.corruptions import SEVERITIES
from runs.datasets import DATASETS
from runs.event_types import AttackEvent, ProgressEvent
from runs.passes import (
    PROBED_IMAGES,
    SQUARE_QUERIES,
    PassCounts,
    attack_passes,
    epoch_images,
    panel_passes,
    passes,
    validation_passes,
)
from runs.snapshot import Snapshot

FORWARDS = PassCounts(1, 2, 3)
"""The cost of each kind of pass in forward passes: a gradient of the input costs one more, those
of all weights two."""
START_S = 5.0
"""Seconds from the start of a study's child to its first step, without compiling: Python imports
torch and reads the data. Measured on a CPU with two cores."""
STAGES = {
    "apgd-ce": 2 * 100,
    "apgd-t": 2 * 900,
    "fab-t": 2 * 900,
    "square": SQUARE_QUERIES,
}
"""AutoAttack's stages and the forward passes of each, for an image that withstands it."""
PACE_EPOCHS = 3
"""The pace of a training is the median over so many last epochs."""
ROLES = ("baseline", "robust", "attack")
NONE: Mapping[str, Snapshot] = MappingProxyType({})


def left_s(
    spec: Mapping[str, Any], snapshot: Snapshot, members: Mapping[str, Snapshot] = NONE
) -> float | None:
    """Seconds of work that a run has left; None where no pace has been measured yet.

    Args:
        spec: of the run, as ``spec.json`` holds it.
        snapshot: of the run.
        members: of a study, the snapshots of its children by their ids.
    """
    if snapshot.ended is not None:
        return 0.0 if snapshot.ended.get("state") == "completed" else None
    fields = _fields(spec)
    try:
        if fields.kind == "study":
            return _study_left(fields, snapshot, members)
        if fields.kind == "attack":
            return _attack_left(fields, snapshot, None)
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
        # the spec of another version
        return None
    return _training_left(snapshot)


def _fields(value: Any) -> Any:
    """A JSON value with attributes for its fields, as a validated spec has them."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{str(key): _fields(item) for key, item in value.items()})
    return [_fields(item) for item in value] if isinstance(value, list) else value


def _cost(counts: PassCounts) -> float:
    return sum(cost * count for cost, count in zip(FORWARDS, counts, strict=True))


def reported_left_s(event: ProgressEvent | AttackEvent) -> float | None:
    """Seconds to the end as the worker reports them; None where it does not, or no number."""
    left = event.get("eta_s")
    return float(left) if isinstance(left, int | float) and 0 <= left < 1e9 else None


# Trainings


def _training_left(snapshot: Snapshot) -> float | None:
    return None if snapshot.progress is None else reported_left_s(snapshot.progress)


def _epoch_cost(spec: Any) -> float:
    images, held_out = epoch_images(spec)
    return images * _cost(passes(spec)) + held_out * _cost(validation_passes(spec))


def _training_pace(spec: Any, snapshot: Snapshot) -> float | None:
    """Forward passes a second of the last epochs, else of this first epoch; None before both."""
    seconds = [
        whole - event.get("warm_up", 0.0)
        for event in snapshot.epochs[-PACE_EPOCHS:]
        if (whole := event["values"].get("seconds")) is not None
    ]
    if seconds and (typical := statistics.median(seconds)) > 0:
        return _epoch_cost(spec) / typical
    progress = snapshot.progress
    if progress is None:
        return None
    if rate := progress.get("rate"):
        return float(rate * spec.batch_size * _cost(passes(spec)))
    left, epochs = reported_left_s(progress), int(spec.epochs) - progress.get("epoch", 0) - 1
    return epochs * _epoch_cost(spec) / left if left and epochs > 0 else None  # it validates


def _predicted_training(spec: Any, snapshot: Snapshot | None, pace: float, warm_up: float) -> float:
    """Seconds of a training that reports none yet, at the pace of another one."""
    done = snapshot.epochs[-1]["epoch"] + 1 if snapshot and snapshot.epochs else 0
    epochs = max(0, int(spec.epochs) - done)
    return START_S + warm_up + epochs * _epoch_cost(spec) / pace


# Attack runs


class _Pair(NamedTuple):
    """One model under one attack. Seconds are None where they are unknown."""

    cost: float
    """In forward passes."""
    spent: float | None = None
    left: float | None = None


def _attack_left(spec: Any, snapshot: Snapshot, pace: float | None) -> float | None:
    """``pace``: of another run, for the time before this run has a pace of its own."""
    labels = [reference.label for reference in (*spec.checkpoints, *spec.models)]
    pairs = list(_pairs(spec, labels, snapshot))
    if getattr(spec, "corruptions", None):
        pairs.append(_corrupted(spec, labels, snapshot))
    panel = _panel_left(snapshot)
    if panel is None:
        pairs += [_Pair(cost) for cost in _panel_costs(spec, len(labels), snapshot)]
    measured = [
        (pair.cost, pair.spent + pair.left)
        for pair in pairs
        if pair.spent is not None and pair.left is not None
    ][-len(spec.attacks) :]  # those of the last model: an undefended model takes less time
    if (seconds := sum(taken for _, taken in measured)) > 0:
        pace = sum(cost for cost, _ in measured) / seconds
    total = panel or 0.0
    for pair in pairs:
        if pair.left is None and pace is None:
            return None
        total += pair.left if pair.left is not None else pair.cost / (pace or 1.0)
    return total


def _pairs(spec: Any, labels: list[str], snapshot: Snapshot) -> Iterator[_Pair]:
    levels = len(getattr(spec, "epsilons", ())) or 1
    whole_split = DATASETS[spec.data].test_images if spec.data in DATASETS else 0
    images = float(spec.limit or whole_split)
    for label in labels:
        for attack in spec.attacks:
            parts = {
                name: event
                for (model, name), event in snapshot.attacks.items()
                if model == label and (name == attack.name or name.startswith(f"{attack.name} "))
            }
            whole = parts.pop(attack.name, None)
            if whole is not None or parts:
                images = max(event["total"] for event in (whole, *parts.values()) if event)
            cost = images * levels * _cost(attack_passes(attack))
            if whole is not None:
                yield _whole(whole, cost)
            elif attack.method == "autoattack":
                yield _by_stages(parts, cost, levels)
            elif parts:  # the levels run side by side, batch by batch
                each = [_whole(event, cost) for event in parts.values()]
                known = [pair for pair in each if pair.left is not None]
                yield max(known, key=lambda pair: pair.left or 0.0, default=_Pair(cost))
            else:
                yield _Pair(cost)


def _corrupted(spec: Any, labels: list[str], snapshot: Snapshot) -> _Pair:
    """The corrupted images of all models that are not classified yet: a forward pass each."""
    images = min(spec.limit or sys.maxsize, DATASETS[spec.data].test_images)
    left = len(labels) * len(CORRUPTIONS) - len(snapshot.corruptions)
    return _Pair(float(max(left, 0) * SEVERITIES * images))


def _whole(event: AttackEvent, cost: float) -> _Pair:
    """A pair by its own event."""
    done, rate = event["done"], event["rate"]
    spent = done / rate if rate > 0 else None
    if "cell" in event:
        return _Pair(cost, spent, 0.0)
    return _Pair(cost, spent, reported_left_s(event))


def attack_left_s(event: AttackEvent) -> float | None:
    """Seconds to the end of one attack on one model; None before it has a speed.

    A worker of version 0.2 reports none. By its speed the last batch seems endless: the images
    that withstand the attack are done at its end alone.
    """
    if "eta_s" in event:
        return reported_left_s(event)
    left = (event["total"] - event["done"]) / event["rate"] if event["rate"] > 0 else None
    return left if left is None or 0 <= left < 1e9 else None


def _by_stages(parts: Mapping[str, AttackEvent], cost: float, levels: int) -> _Pair:
    """AutoAttack: one stage after another, each on the images that withstood those before."""
    done = spent = 0.0
    for name, event in parts.items():
        stage = STAGES.get(name.rpartition(" ")[2])
        if stage is not None and event["rate"] > 0:
            done += stage * event["done"] / max(event["total"], 1)
            spent += event["done"] / event["rate"]
    share = done / (levels * sum(STAGES.values()))
    return _Pair(cost, spent, spent * (1 - share) / share) if share > 0 else _Pair(cost)


# The sanity panel


def _panel_left(snapshot: Snapshot) -> float | None:
    """Seconds that the panel has left, as the worker reports them."""
    progress = snapshot.progress
    if progress is None or progress["task"] != "sanity":
        return None
    return 0.0 if progress["done"] >= progress["total"] else reported_left_s(progress)


def _panel_costs(spec: Any, models: int, snapshot: Snapshot) -> list[float]:
    """Forward passes of the panel, for each model that is not probed yet."""
    progress = snapshot.progress
    if progress is not None and progress["task"] == "sanity":
        models = int(progress["total"] - progress["done"])
    depth = getattr(spec, "sanity", "quick")
    probe = panel_passes(spec.attacks[0], full=depth == "full")
    return [PROBED_IMAGES[depth] * _cost(probe)] * models


# Studies


def _study_left(spec: Any, snapshot: Snapshot, members: Mapping[str, Snapshot]) -> float | None:
    total, warm_up = 0.0, 0.0
    pace: float | None = None
    at_work: set[str] = set()
    """Children that have begun and not ended."""
    for role in ROLES:
        child = getattr(spec, role)
        child.data = spec.data
        event = snapshot.children.get(role)
        member = members.get(event["run"]) if event else None
        if role != "attack" and member is not None:
            pace = _training_pace(child, member) or pace
            warm_up = max([warm_up, *(epoch.get("warm_up", 0.0) for epoch in member.epochs[:1])])
        if event is not None and event["state"] == "completed":
            continue
        left = _child_left(child, member, pace, warm_up)
        if left is None:
            return None
        is_beside = role == "robust" and event is not None and "baseline" in at_work
        total = max(total, left) if is_beside else total + left
        if event is not None:
            at_work.add(role)
    return total


def _child_left(
    spec: Any, member: Snapshot | None, pace: float | None, warm_up: float
) -> float | None:
    """Of a study's child; ``pace`` and ``warm_up`` are those of the trainings so far."""
    if member is not None and member.ended and member.ended.get("state") == "completed":
        return 0.0
    if spec.kind == "attack":
        if not spec.checkpoints:  # the study names them when the trainings have ended
            names = ("Baseline", "Best clean", "Best robust")
            spec.checkpoints = [SimpleNamespace(label=name) for name in names]
        start = 0.0 if member is not None and member.started else START_S
        left = _attack_left(spec, member or Snapshot(), pace)
        return None if left is None else start + left
    reported = None if member is None or member.ended else _training_left(member)
    if reported is not None:
        return reported
    return None if pace is None else _predicted_training(spec, member, pace, warm_up)
