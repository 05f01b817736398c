"""Lightning callbacks that end a training early: a stop request, or patience.

A training ends at a batch boundary or after an epoch's validation, never in between.
"""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping

from engine.process.stop_signal import StopRequested, StopSignal
from engine.training.callbacks.checkpointing import MONITORS, report_checkpoint
from runs.events import EventWriter


class Patience(EarlyStopping):
    """Ends a training whose robust accuracy on the validation split has not risen for so many
    epochs. Its count is part of every checkpoint, and an end that was decided stays decided."""

    def __init__(self, epochs: int) -> None:
        super().__init__(MONITORS["best_robust"], mode="max", patience=epochs)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:  # killed when it was about to end
            trainer.should_stop = True


class StopAtBatch(pl.Callback):
    """Ends the training where it was asked to, at a batch boundary, with a checkpoint.

    The last batch of an epoch is no such place: its validation is yet to come, and
    :class:`StopAtEpoch` is for what follows that. The callback stands behind all others that
    change the training at the end of a batch.
    """

    def __init__(self, stop: StopSignal, last: Path, events: EventWriter) -> None:
        self._stop = stop
        self._last = last
        self._events = events

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Lightning has put a handler of its own before ours, which ends the process between two
        # batches, without a checkpoint.
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
            report_checkpoint(self._events, trainer, "last", None, None)
            raise StopRequested


class StopAtEpoch(Checkpoint):
    """Ends the training where it was asked to, after an epoch's validation.

    A ``Checkpoint`` for the same reason as :class:`CheckpointReporter`: ``last`` has been kept.
    """

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        is_over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_over and self._stop.requested:
            raise StopRequested
