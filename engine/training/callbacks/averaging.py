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
    """Lightning's averages of weights and BatchNorm statistics; buffers that count are copied.

    PyTorch's own update asks the device for its count, twice in every step, and waits for the
    answer: here the count is on this side. ``share``: what part of the way from the average to
    the weights an update goes after so many updates, in [0, 1]; the first one copies.
    """

    def __init__(self, share: Callable[[int], float]) -> None:
        super().__init__()
        self._share = share
        self._updates = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._average_model is not None
        self._updates = int(self._average_model.n_averaged)

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
            self._update(pl_module)
            self._latest_update_step = steps

    @torch.no_grad()
    def _update(self, module: pl.LightningModule) -> None:
        assert self._average_model is not None
        pairs = list(zip(_tensors(self._average_model.module), _tensors(module), strict=True))
        moved = [pair for pair in pairs if self._updates and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not (self._updates and pair[0].is_floating_point())]
        if moved:
            averages, weights = ([pair[side] for pair in moved] for side in (0, 1))
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
    """Stochastic weight averaging (Izmailov et al. 2018, algorithm 1): from the epoch ``first``
    (0, 1, …) on the mean of the weights at the ends of epochs, before that the weights themselves.

    The mean is brought up to date with an epoch's last step, so that it is what the epoch
    validates and keeps. BatchNorm statistics are averaged likewise, in place of the authors'
    further pass over the training split; buffers that count are copied.
    """

    def __init__(self, first: int, steps_per_epoch: int) -> None:
        super().__init__(lambda epochs: 1 / max(epochs - first + 1, 1))
        self._steps_per_epoch = steps_per_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self._steps_per_epoch == 0


def moving_average(decay: float) -> Averaging:
    """Exponential moving average of weights and BatchNorm statistics, warmed up.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that a short training is not
    an average with its random start. Buffers that count are copied.
    """

    return Averaging(lambda updates: max(9 / (10 + updates), 1 - decay))
