"""Ends a training whose loss is not a number, and warns of one that diverges.

It changes nothing else in the training. No step waits for a GPU because of it: it judges losses
that others have read, and what is there at the end of an epoch and in a checkpoint.
"""

import math
from itertools import chain
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from engine.training.divergence import DIVERGING_LOSS, DivergedError, advice, place_words
from engine.training.lightning_module import Classifier
from runs.event_types import ResumePoint
from runs.events import EventWriter
from runs.spec import TrainSpec


class LossWatch(pl.Callback):
    """Fails at a loss or weight that is not finite; warns once of a loss that is very large.

    It must come after the averaging of weights, whose part of a checkpoint it checks, and before
    the callbacks that report and save. The class name is part of every checkpoint.
    """

    def __init__(self, events: EventWriter, spec: TrainSpec, *, bf16: bool) -> None:
        self._events = events
        self._advice = advice(spec, bf16=bf16)
        self._has_warned = False

    def see(self, trainer: pl.Trainer, module: Classifier, loss: float) -> None:
        """Judge a loss of this epoch, which the caller has read from the device.

        Raises:
            DivergedError: it is not finite.
        """
        step = trainer.global_step
        if not math.isfinite(loss):
            self._fail("loss is not a number", trainer, step + 1 - module.batches_without_loss())
        self._warn_above(loss, "loss", trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, Classifier)
        if trainer.is_last_batch:  # the stopwatch has just waited for the device
            self.see(trainer, pl_module, pl_module.training_means()["train_loss"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        if not math.isfinite(loss):
            self._fail("validation loss is not a number", trainer, trainer.global_step)
        self._warn_above(loss, "validation loss", trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, Classifier)
        self.see(trainer, pl_module, pl_module.training_means()["train_loss"])
        weights = (checkpoint["state_dict"], checkpoint.get("current_model_state", {}))
        if not _are_finite(list(chain.from_iterable(state.values() for state in weights))):
            self._fail("a weight is not finite", trainer, trainer.global_step)

    def _fail(self, what: str, trainer: pl.Trainer, step: int) -> None:
        place: ResumePoint = {"epoch": trainer.current_epoch, "step": step}
        raise DivergedError(what, place, self._advice)

    def _warn_above(self, loss: float, what: str, trainer: pl.Trainer) -> None:
        if self._has_warned or loss <= DIVERGING_LOSS:
            return
        self._has_warned = True
        place: ResumePoint = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        message = f"{what} is {loss:.2g} in {place_words(place)}: the training diverges; "
        self._events.write("log", level="warning", message=message + self._advice, **place)

    def state_dict(self) -> dict[str, Any]:
        return {"has_warned": self._has_warned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._has_warned = bool(state_dict["has_warned"])


def _are_finite(tensors: list[Tensor]) -> bool:
    """Whether all values are finite; waits for the device once."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
    largest = torch._foreach_norm(floats, ord=math.inf)
    return bool(torch.stack([value.float() for value in largest]).isfinite().all())
