"""How L1-APGD chooses step size and sparsity (Croce & Hein 2021, section 3).

A step moves by η along the signs of the k largest gradients, and is projected exactly onto the
L1 ball and [0, 1] together. k begins at d/5, η at ε. After each 4 % of the steps, with x* the best
point so far,

    k = ‖x* − x‖₀ / 1.5

and, where ‖x* − x‖₀ fell below 0.95 of what it was, η = ε and the search goes on at x*; elsewhere
η = max(η / 1.5, ε / 10). The module knows nothing about models and losses.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EVERY = 0.04
"""Share of the steps between two checkpoints."""
FIRST_SHARE = 0.2
"""k/d at the start."""
FACTOR = 1.5
"""By which η falls, and by which k is smaller than the number of changed entries."""
FELL = 0.95
SMALLEST = 0.1
"""Of η, as a share of ε."""


def checkpoints(steps: int) -> dict[int, int]:
    """The checkpoints: the number of steps at each, and the steps since the one before it."""
    every = max(int(EVERY * steps), 1)
    return dict.fromkeys(range(every, steps + 1, every), every)


class Sparsity(NamedTuple):
    """How many entries the steps of M images change."""

    share: Tensor
    """(M,): k/d."""
    changed: Tensor
    """(M,): ‖x* − x‖₀ / d at the last checkpoint; 1 at the start."""

    @classmethod
    def begin(cls, points: Tensor) -> "Sparsity":
        """That of the first step from ``points``, (M, 3, H, W)."""
        ones = points.new_ones(len(points))
        return cls(FIRST_SHARE * ones, ones)

    def only(self, stay: Tensor) -> "Sparsity":
        """That of the images at the places ``stay``, int64 (K,)."""
        return Sparsity(self.share[stay], self.changed[stay])

    def after_checkpoint(
        self, best: Tensor, eta: Tensor, eps: float
    ) -> tuple["Sparsity", Tensor, Tensor]:
        """The sparsity and η after a checkpoint, and whether the search goes on at the best point.

        Args:
            best: (M, 3, H, W): x* − x.
            eta: (M,): η so far.
            eps: budget.
        """
        changed = (best != 0).flatten(1).to(self.share.dtype).mean(dim=1)
        again = changed < FELL * self.changed
        eta = torch.where(again, eps, (eta / FACTOR).clamp_min(SMALLEST * eps))
        return Sparsity(changed / FACTOR, changed), eta, again
