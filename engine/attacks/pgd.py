"""Projected gradient descent (Madry et al. 2018, equation after (2.1)):

    x⁰    = a random point of the ε-ball around x
    xᵗ⁺¹  = Π( xᵗ + α · direction(∇ₓ L(xᵗ, y)) )

With momentum μ the direction is that of gᵗ⁺¹ = μ·gᵗ + ∇ₓL / ‖∇ₓL‖₁ (Dong et al. 2018, equations
(6) and (7)); on the cosine schedule α falls as ½(1 + cos(πt/T)) (Loshchilov & Hutter 2017,
equation (5)). One step of length ε from the image itself is FGSM.

This module holds the loop. The geometry of Π and of the direction is in
:mod:`engine.attacks.norms`, x⁰ in :mod:`engine.attacks.start`, L in :mod:`engine.attacks.losses`;
:mod:`engine.attacks.frozen_model` keeps the state of the model. The loop knows nothing about data
sets, runs or Lightning.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from engine.attacks import losses
from engine.attacks.active_set import ActiveBatch, BestPoints, Step
from engine.attacks.expectation import evaluated, evaluated_without_gradient
from engine.attacks.frozen_model import frozen
from engine.attacks.norms import GEOMETRIES, Generators, unit_l1
from engine.attacks.start import check_arguments, first_points
from runs.threat_model import PGD

Objective = Callable[[Tensor, ActiveBatch], Tensor]
"""Maps logits (M, classes) and the M images that gave them to what the attack maximises, (M,)."""


class StepResult(NamedTuple):
    """One gradient step from the points xᵗ of M images."""

    logits: Tensor
    """(M, classes), at xᵗ."""
    loss: Tensor
    """(M,): the objective at xᵗ."""
    points: Tensor
    """(M, 3, H, W): xᵗ⁺¹."""
    velocity: Tensor | None
    """(M, 3, H, W): gᵗ⁺¹; None without momentum."""


class GradientStep(Protocol):
    """One gradient step: a forward pass, its input gradient, and the next point."""

    def __call__(
        self,
        points: Tensor,
        velocity: Tensor | None,
        batch: ActiveBatch,
        objective: Objective,
        spec: PGD,
        alpha: float,
    ) -> StepResult:
        """From xᵗ and gᵗ with the step size α; norm, momentum and ε are those of ``spec``."""


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: PGD,
    *,
    targets: Tensor | None = None,
    generator: Generators | None = None,
    start: Tensor | None = None,
    keep: Literal["best", "last"] = "best",
    objective: Objective | None = None,
    gradient_step: GradientStep | None = None,
    on_step: Callable[[Step], object] | None = None,
) -> Tensor:
    """Attack a batch.

    Args:
        model: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes). Its mode,
            ``requires_grad``, ``.grad`` and buffers are afterwards as they were before.
        images: (N, 3, H, W), floating point, in [0, 1].
        labels: (N,), int64.
        spec: norm, ε and step size in pixels of [0, 1], steps, restarts, start, loss.
        targets: (N,), int64; with targets the attack is targeted.
        generator: of the random starts: one generator for the batch, or one for each image.
        start: of the shape of ``images``; the first restart begins at this point, projected onto
            the ball, instead of at a random point or at the image.
        keep: ``best`` (evaluation): for each image the first point that fools the model, else
            the one of highest loss. ``last`` (training): the last point of the last restart; all
            images stay under attack, also with ``spec.active_set``.
        objective: what the attack maximises, instead of the loss that ``spec`` names.
        gradient_step: computes a step on ``model``, instead of autograd; e.g. a compiled function.
        on_step: called once for each point xᵗ that the model has classified. With ``last`` the
            model does not classify the very last point.

    Returns:
        A tensor of the shape, dtype and device of ``images``, in [0, 1] and within ε of them.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    check_arguments(images, labels, targets, spec, generator)
    if len(images) == 0:
        return images.detach().clone()
    objective = objective or _named_objective(spec.loss)
    gradient_step = gradient_step or partial(_gradient_step, model)

    # Autograd cannot save inference tensors: leave inference mode and clone.
    with torch.inference_mode(False), torch.enable_grad(), frozen(model, spec.craft_mode):
        images, labels = images.detach().clone(), labels.clone()
        targets = None if targets is None else targets.clone()
        best = BestPoints(images) if keep == "best" else None
        # ``best`` also holds which images are fooled; None: no image leaves the batch.
        active_set = best if spec.active_set and spec.craft_mode == "eval" else None

        def record(
            restart: int, t: int, points: Tensor, batch: ActiveBatch, logits: Tensor, loss: Tensor
        ) -> None:
            """Report the points xᵗ to ``on_step``, and keep those that are the best so far."""
            if best is None and not on_step:
                return
            fooled = losses.fools(logits, batch.labels, batch.targets)
            step = Step(restart, t, points, batch.indices, loss, fooled)
            if on_step:
                on_step(active_set.without_padding(step) if active_set else step)
            if best is not None:
                best.update(step)

        def without_fooled(
            batch: ActiveBatch, points: Tensor, velocity: Tensor | None
        ) -> tuple[ActiveBatch, Tensor, Tensor | None]:
            """The images that stay in the batch; all of them without an active set.

            Some of them may be fooled: they pad the batch to one of a few sizes.
            """
            if active_set is None or (stay := active_set.active_places(batch)) is None:
                return batch, points, velocity
            return batch.only(stay), points[stay], None if velocity is None else velocity[stay]

        for restart in range(spec.restarts):
            points = first_points(images, spec, generator, start, restart)
            batch = ActiveBatch.whole(images, labels, targets)
            batch, points, velocity = without_fooled(batch, points, None)
            if spec.momentum:
                velocity = torch.zeros_like(points)

            for t in range(spec.steps):
                if len(points) == 0:
                    break
                before = points
                logits, loss, points, velocity = gradient_step(
                    points, velocity, batch, objective, spec, step_size_at(spec, t)
                )
                record(restart, t, before, batch, logits, loss)
                batch, points, velocity = without_fooled(batch, points, velocity)

            if best is not None and len(points):
                of_batch = partial(_of_batch, objective, batch)
                logits, loss = evaluated_without_gradient(model, points, of_batch)
                record(restart, spec.steps, points, batch, logits, loss)

        return points.detach() if best is None else best.points


def _gradient_step(
    model: nn.Module,
    points: Tensor,
    velocity: Tensor | None,
    batch: ActiveBatch,
    objective: Objective,
    spec: PGD,
    alpha: float,
) -> StepResult:
    logits, loss, gradient = evaluated(model, points, partial(_of_batch, objective, batch))
    next_points, velocity = next_point(
        points.detach(), velocity, gradient, batch.images, spec.norm, spec.momentum, spec.eps, alpha
    )
    return StepResult(logits, loss, next_points, velocity)


def _of_batch(objective: Objective, batch: ActiveBatch, logits: Tensor) -> Tensor:
    return objective(logits, batch)


def next_point(
    points: Tensor,
    velocity: Tensor | None,
    gradient: Tensor,
    images: Tensor,
    norm: str,
    momentum: float,
    eps: float | Tensor,
    alpha: float | Tensor,
) -> tuple[Tensor, Tensor | None]:
    """xᵗ⁺¹ and gᵗ⁺¹ from xᵗ, gᵗ and ∇ₓL(xᵗ, y).

    ``velocity`` is None without momentum. The radius ``eps`` and the step size ``alpha`` may be
    tensors without dimensions.
    """
    geometry = GEOMETRIES[norm]
    if velocity is not None:
        velocity = momentum * velocity + unit_l1(gradient)
    direction = geometry.direction(gradient if velocity is None else velocity)
    return geometry.project(points + alpha * direction, images, eps), velocity


def _named_objective(loss: str) -> Objective:
    def objective(logits: Tensor, batch: ActiveBatch) -> Tensor:
        return losses.objective(loss, logits, batch.labels, batch.targets)

    return objective


def step_size_at(spec: PGD, step: int) -> float:
    """α at the step t = 0 … ``spec.steps`` − 1, in pixels of [0, 1]."""
    if spec.step_schedule == "fixed":
        return spec.step_size
    return spec.step_size * (1 + math.cos(math.pi * step / spec.steps)) / 2
