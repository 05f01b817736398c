"""What a training step costs, counted on the network itself: floating-point operations.

A multiplication and an addition are two; matrix products and convolutions are counted, all else is
not. For the usual ResNet-18 on CIFAR an image's forward pass is 1.11 GFLOP, with the gradient of
the input 2.22, with those of all weights 3.33.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.models.resnet import resnet18
from runs.spec import TrainSpec


class PassCounts(NamedTuple):
    """PassCounts through the network, by what they cost; an image's share of a training step."""

    forward: float
    """Forward alone."""
    attack: float
    """Forward and the gradient of the input."""
    descent: float
    """Forward and the gradients of all weights."""


class Costs(NamedTuple):
    """FLOPs of each kind of pass, for one image."""

    forward: float
    attack: float
    descent: float

    def of(self, passes: PassCounts) -> float:
        """FLOPs of so many passes."""
        return sum(cost * count for cost, count in zip(self, passes, strict=True))


def costs(classes: int, width: int) -> Costs:
    """FLOPs of a pass of one 3×32×32 image; nothing is computed, shapes are enough."""
    with torch.device("meta"):
        model = resnet18(classes, width, [0.5] * 3, [0.5] * 3)
        image = torch.zeros(1, 3, 32, 32)
    model.eval()  # BatchNorm counts for nothing in either mode
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


LEFT = 0.3
"""Share of the passes that an active set leaves to do in an evaluation: measured on the attacks of
the ``cpu`` study's table, over three models, targeted and untargeted."""


def validation_passes(spec: TrainSpec) -> PassCounts:
    """PassCounts of an image in the validation after an epoch: clean, PGD and FGSM."""
    return PassCounts(3, (spec.validation.steps * spec.validation.restarts + 2) * LEFT, 0)


def passes(spec: TrainSpec) -> PassCounts:
    """PassCounts of an image in one training step of a recipe, on the average of a batch."""
    steps = spec.attack.steps * spec.attack.restarts
    match spec.recipe:
        case "standard":
            found = PassCounts(0, 0, 1)
        case "pgd-at":
            found = PassCounts(0, steps, 1)
        case "mixed":
            found = PassCounts(0, steps * (1 - spec.mixed_clean), 1)
        case "trades":  # what the clean image gives is asked for once more, in eval mode
            found = PassCounts(1, steps, 2)
        case "mart":
            found = PassCounts(0, steps, 2)
        case "fast":
            found = PassCounts(0, 1, 1)
    # The worst weights are found by one more pass of the same loss.
    return found._replace(descent=found.descent * (2 if spec.awp_gamma else 1))
