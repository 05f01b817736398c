"""Losses that an attack maximises. One value per image; logits are (N, classes), labels (N,)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-12
"""Keeps equal logits from dividing by zero, as in the authors' code."""


def widened(logits: Tensor) -> Tensor:
    """Half precision as float32, anything else as it is."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """−log softmax(z)_class, of shape (N,)."""
    return F.cross_entropy(logits, classes, reduction="none")


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """max_{j ≠ class} z_j − z_class, of shape (N,): positive where another class wins.

    The loss f₆ of Carlini & Wagner (2017), section IV.A, without its confidence κ.
    """
    own = logits.gather(1, classes[:, None])
    others = logits.scatter(1, classes[:, None], -torch.inf)
    return others.amax(dim=1) - own.squeeze(1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """−(z_y − max_{i≠y} z_i) / (z_π1 − z_π3), of shape (N,), π sorting the logits downwards.

    The difference of logits ratio of Croce & Hein (2020), equation (6): no scaling and no shift
    of the logits changes it, so that a saturated cross-entropy does not hide the gradient.

    Raises:
        ValueError: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError(f"the DLR loss needs at least 3 classes, here are {logits.shape[1]}")
    ordered = logits.topk(3, dim=1).values
    return margin(logits, labels) / (ordered[:, 0] - ordered[:, 2] + _TINY)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """−(z_y − z_t) / (z_π1 − (z_π3 + z_π4) / 2), of shape (N,): rises towards the targets.

    Croce & Hein (2020), equation (7).

    Raises:
        ValueError: fewer than four classes.
    """
    if logits.shape[1] < 4:
        raise ValueError(
            f"the targeted DLR loss needs at least 4 classes, here are {logits.shape[1]}"
        )
    ordered = logits.topk(4, dim=1).values
    own = logits.gather(1, labels[:, None]).squeeze(1)
    aim = logits.gather(1, targets[:, None]).squeeze(1)
    return (aim - own) / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + _TINY)


def objective(name: str, logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """What the attack maximises, of shape (N,): the loss of the label, or, towards targets, the
    negative loss of the target (``dlr``: the targeted DLR, which rises towards it)."""
    logits = widened(logits)
    if name == "dlr":
        return dlr(logits, labels) if targets is None else dlr_targeted(logits, labels, targets)
    loss = {"ce": cross_entropy, "margin": margin}[name]
    return loss(logits, labels) if targets is None else -loss(logits, targets)


def fools(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Which images fool the model: taken for the target, or without one for a wrong class."""
    predicted = logits.argmax(dim=1)
    return predicted != labels if targets is None else predicted == targets
