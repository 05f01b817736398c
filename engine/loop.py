"""What PGD and APGD share: the images still attacked, the best points, the model as found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.norms import GEOMETRIES, Noise, spread
from runs.spec import PGD


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


def check_arguments(
    images: Tensor, labels: Tensor, targets: Tensor | None, spec: PGD, generator: Noise | None
) -> None:
    """What an attack can't begin with.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    if len(labels) != len(images) or (targets is not None and len(targets) != len(images)):
        raise ValueError("images, labels and targets must have the same length")
    if spec.random_start and generator is None:
        raise ValueError("a random start needs a generator")


def first_points(
    images: Tensor, spec: PGD, generator: Noise | None, start: Tensor | None, restart: int
) -> Tensor:
    """x⁰ of all images, (N, 3, H, W): the given start, a random point of the ball, or the image.

    Drawn at full shape, before any image leaves.
    """
    geometry = GEOMETRIES[spec.norm]
    if start is not None and restart == 0:
        return geometry.project(start.detach().to(images), images, spec.eps)
    if spec.random_start:
        assert generator is not None
        return geometry.random_start(images, spec.eps, generator)
    return images.clone()  # a compiled step knows whether two arguments are one


def input_gradient(loss: Tensor, points: Tensor) -> Tensor:
    """∇ₓ of each image's loss, of the shape of ``points``: the batch is summed, images are apart.

    Zero where the model lets no gradient through to its input: such an attack stands still, and
    the sanity panel says so.
    """
    if not loss.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(loss.sum(), points, allow_unused=True)
    return torch.zeros_like(points) if gradient is None else gradient


class Batch(NamedTuple):
    """The images still attacked."""

    indices: Tensor
    images: Tensor
    labels: Tensor
    targets: Tensor | None

    @classmethod
    def whole(cls, images: Tensor, labels: Tensor, targets: Tensor | None) -> "Batch":
        """All images of a batch."""
        return cls(torch.arange(len(images), device=images.device), images, labels, targets)

    def only(self, stay: Tensor) -> "Batch":
        """Those at the places ``stay``, int64 (K,)."""
        targets = None if self.targets is None else self.targets[stay]
        return Batch(self.indices[stay], self.images[stay], self.labels[stay], targets)


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

    def staying(self, batch: Batch) -> Tensor | None:
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


@contextmanager
def as_found(model: nn.Module, mode: str) -> Iterator[None]:
    """The model in ``mode`` with frozen parameters; afterwards everything as it was before."""
    modules = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # In train mode BatchNorm moves its statistics and dropout draws from the global state.
    moving = mode == "train"
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if moving else []
    # A GPU's state is kept in train mode only: reading it waits for the GPU.
    devices = {p.device.index for p in model.parameters() if moving and p.device.type == "cuda"}
    try:
        if any(was_training != moving for _, was_training in modules):
            model.train(moving)
        for parameter in frozen:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        for module, was_training in modules:
            module.training = was_training
        for parameter in frozen:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
