"""Auto-PGD (Croce & Hein 2020, algorithm 1): PGD that finds its step size itself.

    zᵗ⁺¹  = Π( xᵗ + η · direction(∇ₓ L(xᵗ, y)) )
    xᵗ⁺¹  = Π( xᵗ + α (zᵗ⁺¹ − xᵗ) + (1 − α)(xᵗ − xᵗ⁻¹) ),   α = 0.75, in the first step 1

η begins at 2ε. At checkpoints wⱼ it is halved, and the search goes back to its best point, for the
images of which since the last checkpoint

1. fewer than ρ = 0.75 of the steps have raised the loss, or
2. neither η nor the highest loss has changed.

Under L1 it is the L1-APGD of Croce & Hein (2021), see :mod:`engine.attacks.apgd_l1`.

Norms and losses are those of :mod:`engine.attacks.pgd`. Like that module it knows nothing about
data sets, runs or Lightning.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.attacks import apgd_l1
from engine.attacks.active_set import ActiveBatch, BestPoints, Step
from engine.attacks.expectation import evaluated
from engine.attacks.frozen_model import frozen
from engine.attacks.losses import fools, objective
from engine.attacks.norms import GEOMETRIES, Generators, per_image, sparse_direction
from engine.attacks.start import check_arguments, first_points
from runs.threat_model import PGD

ALPHA = 0.75
"""Weight of the step against the momentum."""
RHO = 0.75
"""Share of steps that must raise the loss."""


def apgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: PGD,
    *,
    targets: Tensor | None = None,
    generator: Generators | None = None,
    start: Tensor | None = None,
    on_step: Callable[[Step], object] | None = None,
) -> Tensor:
    """Attack a batch.

    Arguments, result and errors are those of :func:`engine.attacks.pgd.pgd` with ``keep="best"``.

    Of ``spec`` it uses norm, ε, steps, restarts, random start, loss and active set. A random start
    is uniform in the ball; the authors' code begins on the border of the ball.
    """
    check_arguments(images, labels, targets, spec, generator)
    if len(images) == 0:
        return images.detach().clone()
    is_l1 = spec.norm == "l1"
    steps_since_checkpoint = (apgd_l1.checkpoints if is_l1 else checkpoints)(spec.steps)

    with torch.inference_mode(False), torch.enable_grad(), frozen(model, "eval"):
        images, labels = images.detach().clone(), labels.clone()
        targets = None if targets is None else targets.clone()
        best = BestPoints(images)

        def loss_and_gradient(
            points: Tensor, batch: ActiveBatch, restart: int, step: int
        ) -> tuple[Tensor, Tensor]:
            """Loss and gradient at ``points``; reports the points, and keeps the best of them."""
            logits, loss, gradient = evaluated(
                model,
                points,
                lambda logits: objective(spec.loss, logits, batch.labels, batch.targets),
            )
            points = points.detach()
            fooled = fools(logits, batch.labels, batch.targets)
            reached = Step(restart, step, points, batch.indices, loss, fooled)
            if on_step:
                on_step(best.without_padding(reached) if spec.active_set else reached)
            best.update(reached)
            return loss, gradient

        for restart in range(spec.restarts):
            points = first_points(images, spec, generator, start, restart)
            batch = ActiveBatch.whole(images, labels, targets)
            if spec.active_set and (stay := best.active_places(batch)) is not None:
                batch, points = batch.only(stay), points[stay]
            if len(points) == 0:
                break
            loss, gradient = loss_and_gradient(points, batch, restart, 0)
            search = _Search.begin(points, loss, gradient, (1 if is_l1 else 2) * spec.eps)

            for step in range(spec.steps):
                if spec.active_set and (stay := best.active_places(batch)) is not None:
                    batch, search = batch.only(stay), search.only(stay)
                if len(search.points) == 0:
                    break
                points = search.next_points(batch.images, spec, first=step == 0)
                loss, gradient = loss_and_gradient(points, batch, restart, step + 1)
                search = search.after_step(points, loss, gradient)
                if step + 1 in steps_since_checkpoint:
                    if is_l1:
                        search = search.after_l1_checkpoint(batch.images, spec.eps)
                    else:
                        search = search.after_checkpoint(steps_since_checkpoint[step + 1])

        return best.points


def checkpoints(steps: int) -> dict[int, int]:
    """The checkpoints: the number of steps wⱼ at each, and the steps since the one before it.

    wⱼ = ⌈pⱼ · steps⌉ with p₀ = 0, p₁ = 0.22, pⱼ₊₁ = pⱼ + max(pⱼ − pⱼ₋₁ − 0.03, 0.06): section 3.2.
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    checked = sorted({math.ceil(share * steps - 1e-9) for share in shares if share <= 1})
    return {w: w - previous for previous, w in itertools.pairwise(checked)}


class _Search(NamedTuple):
    """The state of the search for each of M images; the first dimension of all tensors is M."""

    points: Tensor
    """xᵗ."""
    previous: Tensor
    """xᵗ⁻¹."""
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    eta: Tensor
    """η, in pixels of [0, 1]."""
    rises: Tensor
    """The number of steps since the last checkpoint that have raised the loss."""
    last_best_loss: Tensor
    """The highest loss at the last checkpoint."""
    was_halved: Tensor
    """Whether η was halved at the last checkpoint."""
    sparsity: apgd_l1.Sparsity
    """Under L1 alone."""

    @classmethod
    def begin(cls, points: Tensor, loss: Tensor, gradient: Tensor, eta: float) -> "_Search":
        return cls(
            points=points,
            previous=points,
            gradient=gradient,
            loss=loss,
            best=points,
            best_gradient=gradient,
            best_loss=loss,
            eta=points.new_full((len(points),), eta),
            rises=torch.zeros_like(loss, dtype=torch.int64),
            last_best_loss=loss,
            # Condition 2 never holds at the first checkpoint: there is no checkpoint before it.
            was_halved=torch.ones_like(loss, dtype=torch.bool),
            sparsity=apgd_l1.Sparsity.begin(points),
        )

    def only(self, stay: Tensor) -> "_Search":
        tensors: list[Any]
        *tensors, sparsity = self
        return _Search._make([*(part[stay] for part in tensors), sparsity.only(stay)])

    def next_points(self, images: Tensor, spec: PGD, *, first: bool) -> Tensor:
        """xᵗ⁺¹, (M, 3, H, W); ``images`` are the clean ones, ``first`` says that t is 0."""
        geometry, eta = GEOMETRIES[spec.norm], per_image(self.eta, images)
        if spec.norm == "l1":  # without momentum
            direction = sparse_direction(self.gradient, self.sparsity.share)
            return geometry.project(self.points + eta * direction, images, spec.eps)
        z = geometry.project(
            self.points + eta * geometry.direction(self.gradient), images, spec.eps
        )
        alpha = 1.0 if first else ALPHA
        return geometry.project(
            self.points + alpha * (z - self.points) + (1 - alpha) * (self.points - self.previous),
            images,
            spec.eps,
        )

    def after_step(self, points: Tensor, loss: Tensor, gradient: Tensor) -> "_Search":
        """The state after a step to ``points``."""
        better = loss > self.best_loss
        return self._replace(
            points=points,
            previous=self.points,
            gradient=gradient,
            loss=loss,
            best=_where(better, points, self.best),
            best_gradient=_where(better, gradient, self.best_gradient),
            best_loss=torch.where(better, loss, self.best_loss),
            rises=self.rises + (loss > self.loss),
        )

    def after_checkpoint(self, steps: int) -> "_Search":
        """The state after a checkpoint, ``steps`` steps after the previous checkpoint."""
        condition_1 = self.rises < RHO * steps
        condition_2 = ~self.was_halved & (self.best_loss <= self.last_best_loss)
        halve = condition_1 | condition_2
        return self._replace(
            points=_where(halve, self.best, self.points),
            gradient=_where(halve, self.best_gradient, self.gradient),
            loss=torch.where(halve, self.best_loss, self.loss),
            eta=torch.where(halve, self.eta / 2, self.eta),
            rises=torch.zeros_like(self.rises),
            last_best_loss=self.best_loss,
            was_halved=halve,
        )

    def after_l1_checkpoint(self, images: Tensor, eps: float) -> "_Search":
        """The state after a checkpoint under L1; ``images`` are the clean ones."""
        sparsity, eta, again = self.sparsity.after_checkpoint(self.best - images, self.eta, eps)
        return self._replace(
            points=_where(again, self.best, self.points),
            gradient=_where(again, self.best_gradient, self.gradient),
            loss=torch.where(again, self.best_loss, self.loss),
            eta=eta,
            sparsity=sparsity,
        )


def _where(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """``chosen`` for the images of which ``condition``, bool (M,), holds, else ``other``."""
    return torch.where(per_image(condition, chosen), chosen, other)
