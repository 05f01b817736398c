"""The floating-point operations of a training step, counted on the network itself.

A multiplication and an addition count as two operations. Only matrix products and convolutions are
counted. For a ResNet-18 of width 64 on CIFAR the forward pass of an image takes 1.11 GFLOP, with
the gradient of the input 2.22, with the gradients of all weights 3.33. The module knows nothing
about devices and time.
"""

import copy
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from runs.passes import PassCounts


class Costs(NamedTuple):
    """FLOPs of each kind of pass for one image; the kinds are those of :class:`PassCounts`."""

    forward: float
    attack: float
    descent: float

    def of(self, passes: PassCounts) -> float:
        """FLOPs of these numbers of passes."""
        return sum(cost * count for cost, count in zip(self, passes, strict=True))


def costs(network: nn.Module, size: tuple[int, int] = (32, 32)) -> Costs:
    """FLOPs of the passes of one image, counted on a copy of the network on the CPU.

    Args:
        network: maps images (N, 3, H, W) in [0, 1] to logits (N, classes); it is left as it is.
        size: height and width of an image, in pixels.
    """
    model = copy.deepcopy(network).cpu().eval()  # BatchNorm adds none in either mode
    image = torch.full((1, 3, *size), 0.5)
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
