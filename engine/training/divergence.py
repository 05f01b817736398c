"""A training that diverges: from which loss on, how it fails, and what to do about it.

Knows nothing about models, Lightning and the files of a run.
"""

from runs.errors import EXIT_FAILED, UserError
from runs.event_types import ResumePoint
from runs.spec import TrainSpec

DIVERGING_LOSS = 1e4
"""A finite loss above this is no training: that of a guess is the logarithm of the classes."""


class DivergedError(UserError):
    """Ends a training whose loss or weights are no longer finite.

    Args:
        what: the sentence before the place: ``loss is not a number``.
        place: epoch, 0, 1, …, and optimiser step, 1, 2, …, that it was seen in.
        advice: see :func:`advice`.
    """

    exit_code = EXIT_FAILED

    def __init__(self, what: str, place: ResumePoint, advice: str) -> None:
        super().__init__(f"{what} in {place_words(place)}: {advice}")
        self.place = place


def place_words(place: ResumePoint) -> str:
    """``epoch 2, step 13``: both counted from 1."""
    return f"epoch {place['epoch'] + 1}, step {place['step']}"


def advice(spec: TrainSpec, *, bf16: bool) -> str:
    """What to change in a training that diverges, as a sentence; ``bf16``: its precision."""
    changes = [f"a lower learning rate (--lr, now {spec.lr:g})"]
    if spec.clip_norm is None:
        changes.append("gradient clipping (--clip-norm 1)")
    if bf16:
        changes.append("full precision (--precision fp32)")
    words = " or ".join([", ".join(changes[:-1]), changes[-1]]) if changes[1:] else changes[0]
    return f"start a new run with {words}"
