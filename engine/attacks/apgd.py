"""Auto-PGD (Croce & Hein 2020, algorithm 1): PGD that finds its step size itself.

    zᵗ⁺¹  = Π( xᵗ + η · direction(∇ₓ L(xᵗ, y)) )
    xᵗ⁺¹  = Π( xᵗ + α (zᵗ⁺¹ − xᵗ) + (1 − α)(xᵗ − xᵗ⁻¹) ),   α = 0.75, in the first step 1

η begins at 2ε. At checkpoints wⱼ it is halved, and the search goes back to its best point, for the
images of which since the last checkpoint

1. fewer than ρ = 0.75 of the steps have raised the loss, or
2. neither η nor the highest loss has changed.

On the same norms and losses as :mod:`engine.attacks.pgd`.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.attacks.active_set import ActiveBatch, Best, Step
from engine.attacks.frozen_model import as_found, input_gradient
from engine.attacks.losses import fools, objective
from engine.attacks.norms import GEOMETRIES, Noise, spread
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
    generator: Noise | None = None,
    start: Tensor | None = None,
    on_step: Callable[[Step], object] | None = None,
) -> Tensor:
    """Attack a batch.

    Arguments, result and errors are those of :func:`engine.attacks.pgd.pgd` with ``keep="best"``.

    Of ``spec`` it takes norm, ε, steps, restarts, start and loss. A random start is uniform in the
    ball, while the authors' code begins on its border.
    """
    check_arguments(images, labels, targets, spec, generator)
    if len(images) == 0:
        return images.detach().clone()
    geometry = GEOMETRIES[spec.norm]
    looks_back = checkpoints(spec.steps)

    with torch.inference_mode(False), torch.enable_grad(), as_found(model, "eval"):
        images, labels = images.detach().clone(), labels.clone()
        targets = None if targets is None else targets.clone()
        tracker = Best(images)

        def look(points: Tensor, batch: ActiveBatch, step: int) -> tuple[Tensor, Tensor]:
            """Loss and gradient at some points."""
            points = points.detach().requires_grad_()
            logits = model(points)
            loss = objective(spec.loss, logits, batch.labels, batch.targets)
            gradient = input_gradient(loss, points)
            loss, points = loss.detach(), points.detach()
            fooled = fools(logits.detach(), batch.labels, batch.targets)
            seen = Step(restart, step, points, batch.indices, loss, fooled)
            if on_step:
                on_step(tracker.attacked(seen) if spec.active_set else seen)
            tracker.see(seen)
            return loss, gradient

        for restart in range(spec.restarts):
            points = first_points(images, spec, generator, start, restart)
            batch = ActiveBatch.whole(images, labels, targets)
            if spec.active_set and (stay := tracker.staying(batch)) is not None:
                batch, points = batch.only(stay), points[stay]
            if len(points) == 0:
                break
            loss, gradient = look(points, batch, 0)
            search = _Search.at(points, loss, gradient, 2 * spec.eps)

            for step in range(spec.steps):
                if spec.active_set and (stay := tracker.staying(batch)) is not None:
                    batch, search = batch.only(stay), search.only(stay)
                if len(search.points) == 0:
                    break
                size = spread(search.size, images)
                ahead = geometry.project(
                    search.points + size * geometry.direction(search.gradient),
                    batch.images,
                    spec.eps,
                )
                alpha = ALPHA if step else 1.0
                points = geometry.project(
                    search.points
                    + alpha * (ahead - search.points)
                    + (1 - alpha) * (search.points - search.before),
                    batch.images,
                    spec.eps,
                )
                loss, gradient = look(points, batch, step + 1)
                search = search.moved(points, loss, gradient)
                if step + 1 in looks_back:
                    search = search.judged(looks_back[step + 1])

        return tracker.points


def checkpoints(steps: int) -> dict[int, int]:
    """The steps wⱼ after which APGD looks back, and how many steps each looks back on.

    wⱼ = ⌈pⱼ · steps⌉ with p₀ = 0, p₁ = 0.22, pⱼ₊₁ = pⱼ + max(pⱼ − pⱼ₋₁ − 0.03, 0.06): section 3.2.
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    at = sorted({math.ceil(share * steps - 1e-9) for share in shares if share <= 1})
    return {w: w - before for before, w in itertools.pairwise(at)}


class _Search(NamedTuple):
    """Where the search of each image stands; all of them of first dimension M."""

    points: Tensor
    before: Tensor
    """The points one step earlier."""
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    size: Tensor
    """η, in pixels of [0, 1]."""
    rises: Tensor
    """Steps since the last checkpoint that have raised the loss."""
    last_best_loss: Tensor
    """The highest loss at the last checkpoint."""
    was_halved: Tensor
    """Whether η was halved there."""

    @classmethod
    def at(cls, points: Tensor, loss: Tensor, gradient: Tensor, size: float) -> "_Search":
        return cls(
            points=points,
            before=points,
            gradient=gradient,
            loss=loss,
            best=points,
            best_gradient=gradient,
            best_loss=loss,
            size=points.new_full((len(points),), size),
            rises=torch.zeros_like(loss, dtype=torch.int64),
            last_best_loss=loss,
            # Nothing is halved before the first checkpoint, yet condition 2 looks back from it.
            was_halved=torch.ones_like(loss, dtype=torch.bool),
        )

    def only(self, stay: Tensor) -> "_Search":
        return _Search(*(part[stay] for part in self))

    def moved(self, points: Tensor, loss: Tensor, gradient: Tensor) -> "_Search":
        """One step further."""
        better = loss > self.best_loss
        return self._replace(
            points=points,
            before=self.points,
            gradient=gradient,
            loss=loss,
            best=_where(better, points, self.best),
            best_gradient=_where(better, gradient, self.best_gradient),
            best_loss=torch.where(better, loss, self.best_loss),
            rises=self.rises + (loss > self.loss),
        )

    def judged(self, steps: int) -> "_Search":
        """At a checkpoint, ``steps`` after the last one."""
        wavers = self.rises < RHO * steps
        stands = ~self.was_halved & (self.best_loss <= self.last_best_loss)
        halve = wavers | stands
        return self._replace(
            points=_where(halve, self.best, self.points),
            gradient=_where(halve, self.best_gradient, self.gradient),
            loss=torch.where(halve, self.best_loss, self.loss),
            size=torch.where(halve, self.size / 2, self.size),
            rises=torch.zeros_like(self.rises),
            last_best_loss=self.best_loss,
            was_halved=halve,
        )


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(spread(chosen, one), one, other)
