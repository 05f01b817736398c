"""Projected gradient descent (Madry et al. 2018, equation after (2.1)):

    x⁰    = a random point of the ε-ball around x
    xᵗ⁺¹  = Π( xᵗ + α · direction(∇ₓ L(xᵗ, y)) )

With momentum μ the direction is that of gᵗ⁺¹ = μ·gᵗ + ∇ₓL / ‖∇ₓL‖₁ (Dong et al. 2018, equations
(6) and (7)); on the cosine schedule α falls as ½(1 + cos(πt/T)) (Loshchilov & Hutter 2017,
equation (5)). One step of length ε from the image itself is FGSM.

This module holds the loop. The geometry of Π and of the direction is in
:mod:`engine.attacks.norms`, L is in :mod:`engine.attacks.losses`, and the state of the model is
kept by :mod:`engine.attacks.frozen_model`. It knows no data set and no Lightning.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from engine.attacks.active_set import ActiveBatch, Best, Step
from engine.attacks.frozen_model import as_found, input_gradient
from engine.attacks.losses import fools
from engine.attacks.losses import objective as named_objective
from engine.attacks.norms import GEOMETRIES, Noise, unit_l1
from engine.attacks.start import check_arguments, first_points
from runs.threat_model import PGD

Objective = Callable[[Tensor, ActiveBatch], Tensor]
"""From logits (M, classes) and the M images that they are of to what is climbed, of shape (M,)."""


class Climb(NamedTuple):
    """One step from the points xᵗ of M images: what was seen there, and where it led."""

    logits: Tensor
    """(M, classes), at xᵗ."""
    loss: Tensor
    """(M,): what is climbed, at xᵗ."""
    points: Tensor
    """(M, 3, H, W): xᵗ⁺¹."""
    velocity: Tensor | None
    """(M, 3, H, W): gᵗ⁺¹; None without momentum."""


class Ascend(Protocol):
    """A step of an attack: one pass through a network, its input gradient, and the move."""

    def __call__(
        self,
        points: Tensor,
        velocity: Tensor | None,
        batch: ActiveBatch,
        objective: Objective,
        spec: PGD,
        size: float,
    ) -> Climb:
        """From xᵗ and gᵗ with the step size α; norm, momentum and ε are those of ``spec``."""


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: PGD,
    *,
    targets: Tensor | None = None,
    generator: Noise | None = None,
    start: Tensor | None = None,
    keep: Literal["best", "last"] = "best",
    objective: Objective | None = None,
    ascend: Ascend | None = None,
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
        start: of the shape of ``images``; the first restart begins there, brought into the ball,
            instead of at a random point or at the image.
        keep: ``best`` (evaluation): for each image the first point that fools the model, else
            the one of highest loss. ``last`` (training): the last point of the last restart.
        objective: what the attack climbs instead of the loss that ``spec`` names.
        ascend: how a step of ``model`` is done instead of by autograd, e.g. compiled.
        on_step: called once for each point that was looked at (with ``last`` not for the very
            last one, which nobody looks at).

    Returns:
        A tensor of the shape, dtype and device of ``images``, in [0, 1] and within ε of them.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    check_arguments(images, labels, targets, spec, generator)
    if len(images) == 0:
        return images.detach().clone()
    climbed = objective or _named(spec.loss)
    ascend = ascend or partial(_ascend, model)

    # Leaving inference mode and cloning makes tensors that autograd may save.
    with torch.inference_mode(False), torch.enable_grad(), as_found(model, spec.craft_mode):
        images, labels = images.detach().clone(), labels.clone()
        targets = None if targets is None else targets.clone()
        tracker = Best(images) if keep == "best" else None
        shrinking = tracker if spec.active_set and spec.craft_mode == "eval" else None
        points = images

        for restart in range(spec.restarts):
            points = first_points(images, spec, generator, start, restart)
            batch = ActiveBatch.whole(images, labels, targets)
            if shrinking and (stay := shrinking.staying(batch)) is not None:
                batch, points = batch.only(stay), points[stay]
            velocity = torch.zeros_like(points) if spec.momentum else None

            for step in range(spec.steps):
                if len(points) == 0:
                    break
                looked_at = points
                size = step_size(spec, step)
                logits, loss, points, velocity = ascend(
                    points, velocity, batch, climbed, spec, size
                )
                if tracker is not None or on_step:
                    fooled = fools(logits, batch.labels, batch.targets)
                    seen = Step(restart, step, looked_at, batch.indices, loss, fooled)
                    if on_step:
                        on_step(shrinking.attacked(seen) if shrinking else seen)
                    if tracker is not None:
                        tracker.see(seen)
                if shrinking and (stay := shrinking.staying(batch)) is not None:
                    batch, points = batch.only(stay), points[stay]
                    velocity = None if velocity is None else velocity[stay]

            if tracker is not None and len(points):
                with torch.no_grad():
                    logits = model(points)
                    loss = climbed(logits, batch)
                fooled = fools(logits, batch.labels, batch.targets)
                seen = Step(restart, spec.steps, points, batch.indices, loss, fooled)
                if on_step:
                    on_step(shrinking.attacked(seen) if shrinking else seen)
                tracker.see(seen)

        return points.detach() if tracker is None else tracker.points


def _ascend(
    model: nn.Module,
    points: Tensor,
    velocity: Tensor | None,
    batch: ActiveBatch,
    objective: Objective,
    spec: PGD,
    size: float,
) -> Climb:
    points = points.detach().requires_grad_()
    logits = model(points)
    loss = objective(logits, batch)
    gradient = input_gradient(loss, points)
    following, velocity = moved(
        points.detach(), velocity, gradient, batch.images, spec.norm, spec.momentum, spec.eps, size
    )
    return Climb(logits.detach(), loss.detach(), following, velocity)


def moved(
    points: Tensor,
    velocity: Tensor | None,
    gradient: Tensor,
    images: Tensor,
    norm: str,
    momentum: float,
    eps: float | Tensor,
    size: float | Tensor,
) -> tuple[Tensor, Tensor | None]:
    """xᵗ⁺¹ and gᵗ⁺¹ from xᵗ, gᵗ and ∇ₓL(xᵗ, y).

    ``velocity`` is None without momentum; the radius ``eps`` and the step size α may be tensors of
    no dimension.
    """
    geometry = GEOMETRIES[norm]
    if velocity is not None:
        gradient = velocity = momentum * velocity + unit_l1(gradient)
    return geometry.project(points + size * geometry.direction(gradient), images, eps), velocity


def _named(loss: str) -> Objective:
    def climbed(logits: Tensor, batch: ActiveBatch) -> Tensor:
        return named_objective(loss, logits, batch.labels, batch.targets)

    return climbed


def step_size(spec: PGD, step: int) -> float:
    """α at the step t = 0 … ``spec.steps`` − 1, in pixels of [0, 1]."""
    if spec.step_schedule == "fixed":
        return spec.step_size
    return spec.step_size * (1 + math.cos(math.pi * step / spec.steps)) / 2
