"""What an attack climbs. One value an image; logits are (N, classes), labels (N,)."""

import torch
import torch.nn.functional as F
from torch import Tensor


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


LOSSES = {"ce": cross_entropy, "margin": margin}


def objective(name: str, logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """What the attack maximises, of shape (N,): the loss of the label, or, towards targets, the
    negative loss of the target."""
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    loss = LOSSES[name]
    return loss(logits, labels) if targets is None else -loss(logits, targets)


def fools(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Which images fool the model: taken for the target, or without one for a wrong class."""
    predicted = logits.argmax(dim=1)
    return predicted != labels if targets is None else predicted == targets
