"""By how much an attack raises its own loss.

Knows nothing about models: it reads the steps of an attack.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from engine.attacks.active_set import Step


class LossIncrease:
    """By how much an attack raises the loss of each image, from its start to its last point.

    Only the first restart counts.
    """

    def __init__(self) -> None:
        self._first: list[Tensor] = []
        self._last: list[Tensor] = []

    def recorder(self, images: int) -> Callable[[Step], None]:
        """A function to call at each step of the attack on the next batch, of ``images`` images."""
        number = len(self._first)
        self._first.append(torch.zeros(images))
        self._last.append(torch.zeros(images))

        def record(step: Step) -> None:
            if step.restart == 0:
                indices, loss = step.indices.cpu(), step.loss.float().cpu()
                if step.step == 0:
                    self._first[number][indices] = loss
                self._last[number][indices] = loss

        return record

    def mean(self) -> float:
        """The mean increase over the images of all batches."""
        return float((torch.cat(self._last) - torch.cat(self._first)).mean())
