"""Losses that an attack maximises. One value per image; logits are (N, classes), labels (N,).

Knows nothing about models: every function takes logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-12
"""Added to a denominator that is 0 when logits are equal, as in the authors' code."""


def at_least_float32(logits: Tensor) -> Tensor:
    """float16 and bfloat16 as float32; other dtypes unchanged."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """−log softmax(z)_class, of shape (N,)."""
    return F.cross_entropy(logits, classes, reduction="none")


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """max_{j ≠ class} z_j − z_class, of shape (N,): positive where another class is predicted.

    The loss f₆ of Carlini & Wagner (2017), section IV.A, without its confidence κ.
    """
    class_logit = logits.gather(1, classes[:, None])
    others = logits.scatter(1, classes[:, None], -torch.inf)
    return others.amax(dim=1) - class_logit.squeeze(1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """−(z_y − max_{i≠y} z_i) / (z_π1 − z_π3), of shape (N,), π sorting the logits downwards.

    The difference of logits ratio of Croce & Hein (2020), equation (6). Scaling or shifting the
    logits does not change it, so its gradient does not vanish where cross-entropy saturates.

    Raises:
        ValueError: fewer than three classes.
    """
    _check_classes(logits, 3, "the DLR loss")
    ordered = logits.topk(3, dim=1).values
    return margin(logits, labels) / (ordered[:, 0] - ordered[:, 2] + _TINY)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """−(z_y − z_t) / (z_π1 − (z_π3 + z_π4) / 2), of shape (N,): rises towards the targets.

    Croce & Hein (2020), equation (7).

    Raises:
        ValueError: fewer than four classes.
    """
    _check_classes(logits, 4, "the targeted DLR loss")
    ordered = logits.topk(4, dim=1).values
    label_logit = logits.gather(1, labels[:, None]).squeeze(1)
    target_logit = logits.gather(1, targets[:, None]).squeeze(1)
    return (target_logit - label_logit) / (
        ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + _TINY
    )


def _check_classes(logits: Tensor, least: int, loss: str) -> None:
    if logits.shape[1] < least:
        raise ValueError(
            f"{loss} needs at least {least} classes, the model has {logits.shape[1]}: "
            "use the loss ce or margin"
        )


def objective(name: str, logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """What an attack maximises, of shape (N,), in float32 or wider.

    Untargeted: the loss of the labels. Targeted: the negative loss of the targets; for ``dlr`` the
    targeted DLR loss, which itself rises towards the targets.

    Args:
        name: ``ce``, ``margin`` or ``dlr``.
        logits: (N, classes).
        labels: int64 (N,).
        targets: int64 (N,); None in an untargeted attack.

    Raises:
        ValueError: too few classes for ``dlr``.
    """
    logits = at_least_float32(logits)
    if name == "dlr":
        return dlr(logits, labels) if targets is None else dlr_targeted(logits, labels, targets)
    loss = {"ce": cross_entropy, "margin": margin}[name]
    return loss(logits, labels) if targets is None else -loss(logits, targets)


def fools(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Which images fool the model, bool (N,).

    Targeted: the prediction is the target. Untargeted: the prediction is not the label.
    """
    predicted = logits.argmax(dim=1)
    return predicted != labels if targets is None else predicted == targets
