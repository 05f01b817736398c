"""The floating-point operations of a training step, counted on the network itself.

A multiplication and an addition count as two operations. Only matrix products and convolutions are
counted. For a ResNet-18 of width 64 on CIFAR the forward pass of an image takes 1.11 GFLOP, with
the gradient of the input 2.22, with the gradients of all weights 3.33. The module knows nothing
about devices and time.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engine.models.resnet import resnet18
from runs.passes import PassCounts


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
