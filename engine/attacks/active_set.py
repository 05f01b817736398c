"""The images of a batch that are still under attack, and the best point of each image.

In evaluation an image that fools the model leaves the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.attacks.norms import spread


class Step(NamedTuple):
    """What ``on_step`` is told: the points xᵗ that have just been looked at."""

    restart: int
    step: int
    """t: 0 is the start, ``spec.steps`` the last point."""
    images: Tensor
    """(M, 3, H, W): xᵗ of the images still attacked."""
    indices: Tensor
    """(M,): their places in the batch."""
    loss: Tensor
    """(M,): what the attack climbs, at xᵗ."""
    fooled: Tensor
    """(M,) bool: which of them fool the model at xᵗ."""


class ActiveBatch(NamedTuple):
    """The images still attacked."""

    indices: Tensor
    images: Tensor
    labels: Tensor
    targets: Tensor | None

    @classmethod
    def whole(cls, images: Tensor, labels: Tensor, targets: Tensor | None) -> "ActiveBatch":
        """All images of a batch."""
        return cls(torch.arange(len(images), device=images.device), images, labels, targets)

    def only(self, stay: Tensor) -> "ActiveBatch":
        """Those at the places ``stay``, int64 (K,)."""
        targets = None if self.targets is None else self.targets[stay]
        return ActiveBatch(self.indices[stay], self.images[stay], self.labels[stay], targets)


ROOM = 32
"""Sizes of parts of a batch are 0, a power of two up to this, or a multiple of a length."""


def in_few_sizes(wanted: Tensor, whole: int) -> Tensor:
    """Places where ``wanted``, bool (N,), is true, and of as many others as make the part of a
    batch that was once of ``whole`` images one of few sizes; ascending, int64 (K,).

    What a processor prepares for a convolution is for one batch size, and costs time and memory
    (on a CPU 20 to 30 ms and 4 to 8 MiB a size, measured; cuDNN plans each size anew). Hence some
    fourteen sizes, in steps of 32 images or, of larger batches, an eighth.
    """
    places = wanted.nonzero().flatten()
    count, step = len(places), max(ROOM, whole // 8)
    if count == 0:
        return places
    size = -(-count // step) * step if count > ROOM else 1 << (count - 1).bit_length()
    if size >= len(wanted):
        return torch.arange(len(wanted), device=wanted.device)
    filling = (~wanted).nonzero().flatten()[: size - count]
    return torch.cat([places, filling]).sort().values


class Best:
    """For each image the first point that fools the model, else the one of highest loss."""

    def __init__(self, images: Tensor) -> None:
        self.points = images.clone()
        self.loss = images.new_full(
            (len(images),), -torch.inf, dtype=torch.promote_types(images.dtype, torch.float32)
        )
        self.fooled = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def staying(self, batch: ActiveBatch) -> Tensor | None:
        """Places in ``batch`` of the images that stay in it, int64 (K,); None: all.

        Those that fool the model leave, but for some that fill it up to a size of few.
        """
        stay = in_few_sizes(~self.fooled[batch.indices], len(self.points))
        return None if len(stay) == len(batch.indices) else stay

    def attacked(self, step: Step) -> Step:
        """``step`` without the images that only fill the batch up; before :meth:`see`."""
        still = (~self.fooled[step.indices]).nonzero().flatten()
        return Step(step.restart, step.step, *(part[still] for part in step[2:]))

    def see(self, step: Step) -> None:
        """Look at one point of some images. Shapes are fixed: nothing here waits for the device."""
        points, indices, fooled = step.images, step.indices, step.fooled
        loss = step.loss.to(self.loss.dtype)
        before, highest = self.fooled[indices], self.loss[indices]
        better = ~before & (fooled | (loss > highest))
        kept = torch.where(spread(better, points), points, self.points[indices])
        self.points.index_copy_(0, indices, kept)
        self.loss.index_copy_(0, indices, torch.where(better, loss, highest))
        self.fooled.index_copy_(0, indices, before | fooled)
