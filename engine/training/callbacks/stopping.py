"""Lightning callbacks that end a training early, or save it within an epoch.

A training ends between two batches or after the validation of an epoch, never during a validation.
The module knows nothing about models and recipes.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping

from engine.process.stop_signal import StopRequested
from engine.training.checkpoint_record import MONITORS


class Stop(Protocol):
    """Whether a stop was requested."""

    def listen(self) -> None:
        """Take the signals that request one."""

    @property
    def requested(self) -> bool:
        """Asked by all ranks of a training at the same places."""


class Patience(EarlyStopping):
    """Ends a training whose robust accuracy on the validation split did not rise for ``epochs``.

    The count of epochs is part of every checkpoint, under the name of this class.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(MONITORS["best_robust"], mode="max", patience=epochs)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:  # the worker was killed after patience ran out
            trainer.should_stop = True


class StopAtBatch(pl.Callback):
    """Ends the training between two batches at a stop request, and saves the checkpoint ``last``.

    It does not end it after the last batch of an epoch, before the validation: :class:`StopAtEpoch`
    ends it after the validation. The callback must come after all callbacks that change the
    training at the end of a batch.

    Args:
        stop: whether a stop was requested.
        last: the file of the checkpoint.
    """

    def __init__(self, stop: Stop, last: Path) -> None:
        self._stop = stop
        self._last = last

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Lightning has installed its own signal handlers, which end the process between two batches
        # without a checkpoint. This call replaces them.
        self._stop.listen()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if batch_idx + 1 < trainer.num_training_batches and self._stop.requested:
            trainer.save_checkpoint(self._last)
            raise StopRequested


class SaveAtBatch(pl.Callback):
    """Saves the checkpoint ``last`` between two batches when the latest is some minutes old.

    A worker that is killed then loses minutes, and not an epoch of hours. It must come after all
    callbacks that change the training at the end of a batch.

    Args:
        minutes: longest time between two checkpoints.
        last: the file of the checkpoint.
        agreed: makes a decision of one process that of all ranks of the training.
    """

    def __init__(self, minutes: float, last: Path, agreed: Callable[[bool], bool]) -> None:
        self._seconds = 60 * minutes
        self._last = last
        self._agreed = agreed
        self._saved_at = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = time.monotonic()  # the epoch before has just been saved

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            return  # the epoch is saved after its validation
        if self._agreed(time.monotonic() - self._saved_at >= self._seconds):
            trainer.save_checkpoint(self._last)
            self._saved_at = time.monotonic()


class StopAtEpoch(Checkpoint):
    """Ends the training after the validation of an epoch at a stop request.

    It is a ``Checkpoint`` itself, because Lightning calls these after all other callbacks, in
    order: by then the keepers before it have saved ``last``.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        is_over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_over and self._stop.requested:
            raise StopRequested
