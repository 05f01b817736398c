"""Where a training goes on: at its last checkpoint, or at an older one where that is damaged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.models.checkpoint import read_checkpoint
from runs.checksums import sha256_of
from runs.errors import UserError
from runs.event_types import ResumePoint
from runs.jsonfiles import flattened
from runs.snapshot import Snapshot, read_snapshot
from runs.spec import TrainSpec, outcome_fields
from runs.store import Run

OLDER = ("best_robust", "best_clean")
"""Checkpoints that take the place of a damaged one; the first was saved after the second."""


class Resumption(NamedTuple):
    """A checkpoint to go on from."""

    path: Path
    point: ResumePoint
    warning: str
    """What a damaged checkpoint costs, as a sentence; empty where none is."""
    notice: str
    """What is different now, as a sentence, and what that means; empty where nothing is."""


def resumption(run: Run, spec: TrainSpec) -> Resumption | None:
    """The newest whole checkpoint of a training; None where it has not saved one yet.

    Raises:
        UserError: all checkpoints are damaged, or spec.json was changed since they were saved.
    """
    last = run.checkpoint("last")
    if not last.is_file():
        return None
    path, warning, recorded = last, "", read_snapshot(run)
    try:
        content = _read(run, "last", recorded)
    except UserError as error:
        found = _older(run, recorded)
        if found is None:
            raise
        path, content = found
        warning = (
            f"{error}: the training goes on from {path.name}, after epoch {content['epoch'] + 1}, "
            "and trains again what came later"
        )
    saved_spec = _own_spec(content, spec, path)
    point: ResumePoint = {"epoch": int(content["epoch"]), "step": int(content["global_step"])}
    return Resumption(path, point, warning, _moved(saved_spec, spec))


def _read(run: Run, name: str, recorded: Snapshot) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        UserError: it is damaged: it can't be read, or its sum is not that of the file that was
            saved at its step.
    """
    path = run.checkpoint(name)
    content = read_checkpoint(path)
    kept, sha256 = recorded.checkpoints.get(name), recorded.sums.get(name)
    # Of a checkpoint whose event was lost with a killed worker nothing is recorded.
    is_recorded = kept is not None and kept["step"] == int(content["global_step"])
    if is_recorded and sha256 is not None and sha256_of(path) != sha256:
        raise UserError(f"{path} is damaged: its SHA-256 is not that of the file that was saved")
    return content


def _older(run: Run, recorded: Snapshot) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole one of the other checkpoints, with its content."""
    whole = []
    for name in OLDER:
        try:
            whole.append((run.checkpoint(name), _read(run, name, recorded)))
        except UserError:
            continue
    return max(whole, key=lambda found: int(found[1]["global_step"]), default=None)


def _moved(saved: TrainSpec, now: TrainSpec) -> str:
    """Where the training goes on with another number of devices or threads."""
    changes = [
        f"{name} {getattr(saved, name) or 'all'} → {getattr(now, name) or 'all'}"
        for name in ("devices", "threads")
        if getattr(now, name) != getattr(saved, name)
    ]
    return f"goes on with {', '.join(changes)}: equal up to rounding" if changes else ""


def _own_spec(content: Mapping[str, Any], spec: TrainSpec, path: Path) -> TrainSpec:
    """The spec in a checkpoint, if it is that of this training.

    A field that did not exist then has its default.

    Raises:
        UserError: fields differ that decide what comes of a training; the message names them.
    """
    try:
        saved_spec = TrainSpec.model_validate(content["hyper_parameters"]["spec"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} holds no spec of this advtui: start a new run") from None
    saved, asked = (dict(flattened(outcome_fields(one))) for one in (saved_spec, spec))
    changes = [f"{key} {saved[key]} → {asked[key]}" for key in asked if saved[key] != asked[key]]
    if not changes:
        return saved_spec
    is_longer = saved["epochs"] != asked["epochs"]
    reason = "; the learning rate follows the planned length" if is_longer else ""
    spec_file = path.parent.parent / "spec.json"
    raise UserError(
        f"spec.json was changed since {path.name} was saved: {', '.join(changes)}{reason}: "
        f"undo it, or start a new run with advtui train --config {spec_file}"
    )
