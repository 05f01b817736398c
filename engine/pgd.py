"""Projected gradient descent (Madry et al. 2018, equation after (2.1)):

    x⁰    = a random point of the ε-ball around x
    xᵗ⁺¹  = Π( xᵗ + α · direction(∇ₓ L(xᵗ, y)) )

This module knows the loop, and what to leave as it was found. The geometry of Π and of the
direction is in :mod:`engine.norms`, L in :mod:`engine.losses`. It knows no data set and no
Lightning.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from engine.losses import fools, objective
from engine.norms import GEOMETRIES, Noise
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


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: PGD,
    *,
    targets: Tensor | None = None,
    generator: Noise | None = None,
    keep: Literal["best", "last"] = "best",
    on_step: Callable[[Step], object] | None = None,
) -> Tensor:
    """Attack a batch.

    Args:
        model: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes). Its mode,
            ``requires_grad``, ``.grad`` and buffers are afterwards as they were before.
        images: (N, 3, H, W), floating point, in [0, 1].
        labels: (N,), int64.
        spec: norm, ε and step size in pixels of [0, 1], steps, restarts, start, loss.
        targets: (N,), int64; given, the attack is targeted.
        generator: randomness of the start: one generator, or one for each image.
        keep: ``best`` (evaluation): for each image the first point that fools the model, else
            the one of highest loss. ``last`` (training): the last point of the last restart.
        on_step: called once for each point that was looked at (with ``last`` not for the very
            last one, which nobody looks at).

    Returns:
        A tensor of the shape, dtype and device of ``images``, in [0, 1] and within ε of them.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    if len(labels) != len(images) or (targets is not None and len(targets) != len(images)):
        raise ValueError("images, labels and targets must have the same length")
    if spec.random_start and generator is None:
        raise ValueError("a random start needs a generator")
    if len(images) == 0:
        return images.detach().clone()
    geometry = GEOMETRIES[spec.norm]

    # Leaving inference mode and cloning makes tensors that autograd may save.
    with torch.inference_mode(False), torch.enable_grad(), _as_found(model, spec.craft_mode):
        images, labels = images.detach().clone(), labels.clone()
        targets = None if targets is None else targets.clone()
        tracker = _Best(images) if keep == "best" else None
        shrinking = tracker is not None and spec.active_set and spec.craft_mode == "eval"
        points = images

        for restart in range(spec.restarts):
            points = images
            if spec.random_start:  # drawn at full shape, before any image leaves
                assert generator is not None
                points = geometry.random_start(images, spec.eps, generator)
            batch = _Batch(torch.arange(len(images), device=images.device), images, labels, targets)
            if shrinking and tracker is not None:
                batch, points = batch.only(points, ~tracker.fooled)

            for step in range(spec.steps):
                if len(points) == 0:
                    break
                points = points.detach().requires_grad_()
                logits = model(points)
                loss = objective(spec.loss, logits, batch.labels, batch.targets)
                (gradient,) = torch.autograd.grad(loss.sum(), points)
                points = points.detach()
                fooled = fools(logits.detach(), batch.labels, batch.targets)
                if on_step:
                    on_step(Step(restart, step, points, batch.indices, loss.detach(), fooled))
                if tracker is not None:
                    tracker.see(points, batch.indices, loss.detach(), fooled, whole=not shrinking)
                points = geometry.project(
                    points + spec.step_size * geometry.direction(gradient), batch.images, spec.eps
                )
                if shrinking and bool(fooled.any()):
                    batch, points = batch.only(points, ~fooled)

            if tracker is not None and len(points):
                with torch.no_grad():
                    logits = model(points)
                    loss = objective(spec.loss, logits, batch.labels, batch.targets)
                fooled = fools(logits, batch.labels, batch.targets)
                if on_step:
                    on_step(Step(restart, spec.steps, points, batch.indices, loss, fooled))
                tracker.see(points, batch.indices, loss, fooled, whole=not shrinking)

        return points.detach() if tracker is None else tracker.points


class _Batch(NamedTuple):
    """The images still attacked."""

    indices: Tensor
    images: Tensor
    labels: Tensor
    targets: Tensor | None

    def only(self, points: Tensor, stay: Tensor) -> tuple["_Batch", Tensor]:
        targets = None if self.targets is None else self.targets[stay]
        batch = _Batch(self.indices[stay], self.images[stay], self.labels[stay], targets)
        return batch, points[stay]


class _Best:
    """For each image the first point that fools the model, else the one of highest loss."""

    def __init__(self, images: Tensor) -> None:
        self.points = images.clone()
        self.loss = images.new_full(
            (len(images),), -torch.inf, dtype=torch.promote_types(images.dtype, torch.float32)
        )
        self.fooled = torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def see(
        self, points: Tensor, indices: Tensor, loss: Tensor, fooled: Tensor, *, whole: bool
    ) -> None:
        """Look at one point of each image of ``indices``; ``whole``: these are all of them."""
        loss = loss.to(self.loss.dtype)
        before = self.fooled if whole else self.fooled[indices]
        highest = self.loss if whole else self.loss[indices]
        better = ~before & (fooled | (loss > highest))
        if whole:  # fixed shapes: nothing here waits for the device
            mask = better.view(-1, *[1] * (points.dim() - 1))
            self.points = torch.where(mask, points, self.points)
            self.loss = torch.where(better, loss, highest)
            self.fooled = before | fooled
        else:
            chosen = indices[better]
            self.points[chosen] = points[better]
            self.loss[chosen] = loss[better]
            self.fooled[indices] = before | fooled


@contextmanager
def _as_found(model: nn.Module, mode: str) -> Iterator[None]:
    """The model in ``mode`` with frozen parameters; afterwards everything as it was before."""
    modules = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # In train mode BatchNorm moves its statistics and dropout draws from the global state.
    moving = mode == "train"
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if moving else []
    # A GPU's state is kept in train mode only: reading it waits for the GPU.
    devices = {p.device.index for p in model.parameters() if moving and p.device.type == "cuda"}
    try:
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
