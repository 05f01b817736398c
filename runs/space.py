"""The space that a run needs on the disk, estimated from its spec, beside what is free.

A training keeps checkpoints, an attack run the outcome of each image and some example images; the
rest is small. Opens no file, and knows nothing about torch.
"""

from typing import TYPE_CHECKING

from runs.architectures import ARCHITECTURES
from runs.datasets import DATASETS
from runs.storage import free_bytes, megabytes, mount_point
from runs.store import CHECKPOINTS, Run

if TYPE_CHECKING:
    from runs.spec import AnySpec, AttackSpec, TrainSpec

_FLOAT = 4
"""Bytes of a weight in a checkpoint, and of a channel of a pixel among the examples."""
_SMALL = 1_000_000
"""Bytes for events, logs and the result."""


def shortage(run: Run, spec: "AnySpec") -> str | None:
    """A sentence where the run needs more space than is free; else None."""
    needed, free = needed_bytes(spec) - _checkpoint_bytes(run), free_bytes(run.path)
    if free is None or needed <= free:
        return None
    return (
        f"this run needs about {megabytes(needed)}, and {megabytes(free)} are free on "
        f"{mount_point(run.path)}: make room, or it will fail"
    )


def needed_bytes(spec: "AnySpec") -> int:
    """What all files of a run take together, of a study those of its children; in bytes."""
    if spec.kind == "train":
        return _SMALL + _train_bytes(spec)
    if spec.kind == "attack":
        return _SMALL + _attack_bytes(spec, len(spec.references))
    if spec.kind == "sweep":  # of its points each tells by itself
        return _SMALL
    trainings = (spec.child("baseline"), spec.child("robust"))
    attack = spec.child("attack")
    of_trainings = sum(_train_bytes(one) for one in trainings if one.kind == "train")
    return 4 * _SMALL + of_trainings + (_attack_bytes(attack, 3) if attack.kind == "attack" else 0)


def _train_bytes(spec: "TrainSpec") -> int:
    # A checkpoint is written beside the one that it replaces.
    return (len(CHECKPOINTS) + 1) * checkpoint_bytes(spec)


def checkpoint_bytes(spec: "TrainSpec") -> int:
    """A checkpoint holds the weights, their momentum and, with averaging, their average.

    0 of a network that advtui does not build itself.
    """
    copies = 1 + (spec.momentum > 0) + (spec.swa_start is not None or spec.ema_decay > 0)
    known = ARCHITECTURES.get(spec.arch)
    if known is None:  # not known before it is built
        return 0
    return copies * known.parameters(spec.width, DATASETS[spec.data].classes) * _FLOAT


def _attack_bytes(spec: "AttackSpec", models: int) -> int:
    """The outcomes and the examples of ``models`` models, before they are compressed."""
    dataset = DATASETS.get(spec.data)
    images = (dataset.test_images if dataset else 0) if spec.limit is None else spec.limit
    side = 32 if dataset else spec.resize or 0  # of a folder without it the size is not known yet
    levels = sum(len(spec.levels(attack)) for attack in spec.attacks)
    outcomes = 2 * images * models * (1 + levels)
    examples = spec.examples * models * len(spec.attacks) * 3 * side * side * _FLOAT
    # Each file is written beside the one that it replaces.
    return 2 * outcomes + examples


def _checkpoint_bytes(run: Run) -> int:
    """The size of the checkpoints that an earlier attempt has left."""
    return sum(run.checkpoint(name).stat().st_size for name in run.checkpoints())
