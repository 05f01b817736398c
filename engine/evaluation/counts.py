"""Counts of an attack on a model, and the extremes of its adversarial images.

Knows nothing about models and attacks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Tally:
    """Counts of one attack on one model."""

    correct: int = 0
    """Images that the model classifies correctly when clean: those that are attacked."""
    successes: int = 0
    """Of these, images on which the attack reaches its goal: a wrong class, or the target."""
    robust: int = 0
    """Of these, images that are classified correctly when attacked."""
    seconds: float = 0.0


class Extremes:
    """The largest perturbation and the range of pixels, over all adversarial images of an attack.

    ``norm``: ``linf``, ``l2`` or ``l1``. Before the first image, ``largest`` is 0 and the range is
    empty.
    """

    def __init__(self, norm: str) -> None:
        self._order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
        self.largest = 0.0
        """Largest norm of a perturbation, in pixels of [0, 1]."""
        self.lowest, self.highest = 1.0, 0.0

    def include(self, images: Tensor, adversarial: Tensor) -> None:
        """Include a batch of clean and adversarial images, float32 (M, 3, H, W) both.

        A value that is not a number counts as infinite.
        """
        if len(images) == 0:
            return
        delta = (adversarial.double() - images).flatten(1)  # L1 sums thousands of pixels
        norms = torch.linalg.vector_norm(delta, ord=self._order, dim=1).nan_to_num(torch.inf)
        pixels = adversarial.nan_to_num(nan=torch.inf)
        self.largest = max(self.largest, float(norms.max()))
        self.lowest = min(self.lowest, float(pixels.min()))
        self.highest = max(self.highest, float(pixels.max()))

    def merge(self, other: "Extremes") -> None:
        """Include what another has included."""
        self.largest = max(self.largest, other.largest)
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)
