"""The floating-point operations of a training step, counted on the network itself.

A multiplication and an addition count as two operations. Only matrix products and convolutions are
counted. For a ResNet-18 of width 64 on CIFAR the forward pass of an image takes 1.11 GFLOP, with
the gradient of the input 2.22, with the gradients of all weights 3.33. The module knows nothing
about devices and time.
"""

from typing import NamedTuple, assert_never

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.models.resnet import resnet18
from runs.spec import TrainSpec


class PassCounts(NamedTuple):
    """Numbers of passes through the network for one image, by the kind of pass."""

    forward: float
    """Forward alone."""
    attack: float
    """Forward and the gradient of the input."""
    descent: float
    """Forward and the gradients of all weights."""


class Costs(NamedTuple):
    """FLOPs of each kind of pass for one image; the kinds are those of :class:`PassCounts`."""

    forward: float
    attack: float
    descent: float

    def of(self, passes: PassCounts) -> float:
        """FLOPs of these numbers of passes."""
        return sum(cost * count for cost, count in zip(self, passes, strict=True))


def costs(classes: int, width: int) -> Costs:
    """FLOPs of the passes of one 3×32×32 image; computed from shapes, on the meta device."""
    with torch.device("meta"):
        model = resnet18(classes, width, [0.5] * 3, [0.5] * 3)
        image = torch.zeros(1, 3, 32, 32)
    model.eval()  # BatchNorm adds no counted operations in either mode
    with torch.no_grad():
        forward = _counted(model, image)
    descent = _counted(model, image)
    model.requires_grad_(False)
    return Costs(forward, _counted(model, image.requires_grad_()), descent)


def _counted(model: nn.Module, image: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        logits = model(image)
        if logits.requires_grad:
            logits.sum().backward()
    return float(counter.get_total_flops())


ACTIVE_SHARE = 0.3
"""Share of the passes of an attack that remain with an active set, in an evaluation. Measured on
the attacks of the ``cpu`` study's table, over three models, targeted and untargeted."""


def validation_passes(spec: TrainSpec) -> PassCounts:
    """Passes of an image in the validation after an epoch: clean, PGD and FGSM."""
    return PassCounts(3, (spec.validation.steps * spec.validation.restarts + 2) * ACTIVE_SHARE, 0)


def passes(spec: TrainSpec) -> PassCounts:
    """Passes of an image in one training step of the recipe, averaged over a batch."""
    steps = spec.attack.steps * spec.attack.restarts
    match spec.recipe:
        case "standard":
            counts = PassCounts(0, 0, 1)
        case "pgd-at":
            counts = PassCounts(0, steps, 1)
        case "mixed":
            counts = PassCounts(0, steps * (1 - spec.mixed_clean), 1)
        case "trades":  # one more forward pass of the clean image, in eval mode
            counts = PassCounts(1, steps, 2)
        case "mart":
            counts = PassCounts(0, steps, 2)
        case "fast":
            counts = PassCounts(0, 1, 1)
        case other:
            assert_never(other)
    # AWP computes the same loss once more, to find the worst weights.
    return counts._replace(descent=counts.descent * (2 if spec.awp_gamma else 1))
