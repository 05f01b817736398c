"""Averages of the weights along a training: exponential moving average and SWA.

Knows no checkpoint file and no event.
"""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn


class Averaging(WeightAveraging):
    """Lightning's average of weights and BatchNorm statistics. Integer buffers are copied.

    PyTorch's own update reads its counter from the device twice in every step, and waits for it;
    here the counter is a number of Python. ``share`` gives, for the number of updates so far, the
    factor of an update in [0, 1]: average += share · (weights − average). The first update copies.
    """

    def __init__(self, share: Callable[[int], float]) -> None:
        super().__init__()
        self._share = share
        self._updates = 0
        self._pairs: list[tuple[Tensor, Tensor]] = []
        """Each tensor of the average, with that of the weights. They are listed once: a walk
        through the modules in every step takes longer than the update itself."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._average_model is not None
        self._updates = int(self._average_model.n_averaged)
        sides = (_tensors(self._average_model.module), _tensors(pl_module))
        self._pairs = list(zip(*sides, strict=True))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        steps = trainer.global_step
        if steps > self._latest_update_step and self.should_update(step_idx=steps - 1):
            self._update()
            self._latest_update_step = steps

    @torch.no_grad()
    def _update(self) -> None:
        assert self._average_model is not None
        first = not self._updates
        averaged = [] if first else [pair for pair in self._pairs if pair[0].is_floating_point()]
        copied = [pair for pair in self._pairs if first or not pair[0].is_floating_point()]
        if averaged:
            averages, weights = ([pair[side] for pair in averaged] for side in (0, 1))
            change = torch._foreach_sub(weights, averages)
            torch._foreach_mul_(change, self._share(self._updates))
            torch._foreach_add_(averages, change)
        if copied:
            averages, weights = ([pair[side] for pair in copied] for side in (0, 1))
            torch._foreach_copy_(averages, weights)
        self._updates += 1
        self._average_model.n_averaged.add_(1)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


class EqualAveraging(Averaging):
    """Stochastic weight averaging (Izmailov et al. 2018, algorithm 1).

    From the epoch ``first`` (0, 1, …) on, the average is the mean of the weights at the ends of the
    epochs; before that it is the weights themselves. It is updated with the last step of an epoch,
    so that the epoch validates and saves it. BatchNorm statistics are averaged too, where the
    authors make another pass over the training split. Integer buffers are copied.
    """

    def __init__(self, first: int, steps_per_epoch: int) -> None:
        super().__init__(lambda epochs: 1 / max(epochs - first + 1, 1))
        self._steps_per_epoch = steps_per_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self._steps_per_epoch == 0


def moving_average(decay: float) -> Averaging:
    """Exponential moving average of weights and BatchNorm statistics, with a warm-up.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that the random initial weights
    do not weigh in a short training. Integer buffers are copied.
    """

    return Averaging(lambda updates: max(9 / (10 + updates), 1 - decay))
