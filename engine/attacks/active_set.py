"""The images of a batch that are still under attack, and the best point of each image.

In evaluation an image that fools the model leaves the batch. The module knows nothing about models,
gradients or norms.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.attacks.norms import per_image


class Step(NamedTuple):
    """The argument of ``on_step``: points xᵗ that the model has just classified."""

    restart: int
    """0, 1, …"""
    step: int
    """t: 0 is the start, ``spec.steps`` the last point."""
    images: Tensor
    """(M, 3, H, W): xᵗ of the M images that are still attacked."""
    indices: Tensor
    """(M,), int64: the places of these images in the batch."""
    loss: Tensor
    """(M,): the objective of the attack at xᵗ."""
    fooled: Tensor
    """(M,), bool: whether xᵗ fools the model."""


class ActiveBatch(NamedTuple):
    """The M images of a batch that are still attacked."""

    indices: Tensor
    """(M,), int64: the places of these images in the batch."""
    images: Tensor
    """(M, 3, H, W): the clean images x."""
    labels: Tensor
    """(M,), int64."""
    targets: Tensor | None
    """(M,), int64; None in an untargeted attack."""

    @classmethod
    def whole(cls, images: Tensor, labels: Tensor, targets: Tensor | None) -> "ActiveBatch":
        """All images of a batch."""
        return cls(torch.arange(len(images), device=images.device), images, labels, targets)

    def only(self, stay: Tensor) -> "ActiveBatch":
        """The images at the places ``stay``, int64 (K,)."""
        targets = None if self.targets is None else self.targets[stay]
        return ActiveBatch(self.indices[stay], self.images[stay], self.labels[stay], targets)


SMALLEST_STEP = 32
"""Up to this many images a part of a batch has a power of two as its size; above, its size is a
multiple of this number or, in a large batch, of an eighth of the batch."""


def padded_places(wanted: Tensor, whole: int) -> Tensor:
    """The places where ``wanted`` is true, padded with other places up to one of a few sizes.

    A processor prepares a convolution for one batch size, which costs time and memory (on a CPU 20
    to 30 ms and 4 to 8 MiB a size, measured; cuDNN plans each size anew). A batch that shrinks
    therefore takes at most about fourteen sizes: 0, powers of two up to 32, then steps of 32 images
    or, in larger batches, of an eighth of the batch.

    Args:
        wanted: bool (N,).
        whole: the number of images in the batch before any of them left, at least N.

    Returns:
        int64 (K,), ascending; all N places where the next size is N or larger.
    """
    places = wanted.nonzero().flatten()
    count, step = len(places), max(SMALLEST_STEP, whole // 8)
    if count == 0:
        return places
    size = -(-count // step) * step if count > SMALLEST_STEP else 1 << (count - 1).bit_length()
    if size >= len(wanted):
        return torch.arange(len(wanted), device=wanted.device)
    padding = (~wanted).nonzero().flatten()[: size - count]
    return torch.cat([places, padding]).sort().values


class BestPoints:
    """For each of N images the first point that fools the model, else the one of highest loss.

    ``points`` (N, 3, H, W), ``loss`` (N,) and ``fooled`` (N,), bool, belong together. Before the
    first update they are the images themselves, −∞ and false.
    """

    def __init__(self, images: Tensor) -> None:
        self.points = images.clone()
        self.loss = images.new_full(
            (len(images),), -torch.inf, dtype=torch.promote_types(images.dtype, torch.float32)
        )
        self.fooled = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def active_places(self, batch: ActiveBatch) -> Tensor | None:
        """The places in ``batch`` of the images that stay in it, int64 (K,); None: all stay.

        Images that fool the model leave, except those that pad the batch to one of a few sizes.
        """
        stay = padded_places(~self.fooled[batch.indices], len(self.points))
        return None if len(stay) == len(batch.indices) else stay

    def without_padding(self, step: Step) -> Step:
        """``step`` without the images that only pad the batch. Call it before :meth:`update`."""
        active = (~self.fooled[step.indices]).nonzero().flatten()
        return Step(step.restart, step.step, *(part[active] for part in step[2:]))

    def update(self, step: Step) -> None:
        """Take over the points of ``step`` that are better than the points so far.

        Shapes are fixed, so that the process does not wait for the device.
        """
        points, indices, fooled = step.images, step.indices, step.fooled
        loss = step.loss.to(self.loss.dtype)
        already_fooled, highest = self.fooled[indices], self.loss[indices]
        better = ~already_fooled & (fooled | (loss > highest))
        best = torch.where(per_image(better, points), points, self.points[indices])
        self.points.index_copy_(0, indices, best)
        self.loss.index_copy_(0, indices, torch.where(better, loss, highest))
        self.fooled.index_copy_(0, indices, already_fooled | fooled)
