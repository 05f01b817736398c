"""Counts of an attack on a model, and the extremes of what it returned."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Tally:
    """Counts of one attack on one model."""

    correct: int = 0
    successes: int = 0
    robust: int = 0
    seconds: float = 0.0


class Extremes:
    """Extremes of what an attack returns: perturbation norm and pixel range."""

    def __init__(self, norm: str) -> None:
        self._order = torch.inf if norm == "linf" else 2
        self.largest = 0.0
        """Largest norm of a perturbation."""
        self.lowest, self.highest = 1.0, 0.0

    def include(self, images: Tensor, adversarial: Tensor) -> None:
        """Include a batch of clean and adversarial images, (M, 3, H, W) both.

        A value that is not a number counts as infinite.
        """
        if len(images) == 0:
            return
        delta = (adversarial - images).flatten(1)
        norms = torch.linalg.vector_norm(delta, ord=self._order, dim=1).nan_to_num(torch.inf)
        pixels = adversarial.nan_to_num(nan=torch.inf)
        self.largest = max(self.largest, float(norms.max()))
        self.lowest = min(self.lowest, float(pixels.min()))
        self.highest = max(self.highest, float(pixels.max()))
