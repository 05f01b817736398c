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
    """Extremes of what an attack returns."""

    def __init__(self, norm: str) -> None:
        self._order = torch.inf if norm == "linf" else 2
        self.extremes = {"largest": 0.0, "lowest": 1.0, "highest": 0.0}

    def see(self, images: Tensor, adversarial: Tensor) -> None:
        """Take in a batch, (M, 3, H, W) both."""
        if len(images) == 0:
            return
        delta = (adversarial - images).flatten(1)
        lengths = torch.linalg.vector_norm(delta, ord=self._order, dim=1).nan_to_num(torch.inf)
        pixels = adversarial.nan_to_num(nan=torch.inf)  # no number is no pixel
        now = self.extremes
        now["largest"] = max(now["largest"], float(lengths.max()))
        now["lowest"] = min(now["lowest"], float(pixels.min()))
        now["highest"] = max(now["highest"], float(pixels.max()))
