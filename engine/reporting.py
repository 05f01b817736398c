"""Training as events: a Lightning callback that watches and writes, and changes nothing."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint

from engine.checkpoints import MONITORS
from engine.classifier import Classifier
from engine.overfitting import collapses
from engine.stopping import StopRequested, StopSignal
from engine.throughput import Stopwatch
from runs.events import EventWriter

PROGRESS_EVERY_S = 0.5
VALIDATED = ("val_loss", "val_fgsm_accuracy", *MONITORS.values())
STEP_METRICS_EVERY_S = 2.0


class Reporter(pl.Callback):
    """Writes progress and metric events. Stands behind the ``stopwatch`` that it reads."""

    def __init__(self, events: EventWriter, stopwatch: Stopwatch) -> None:
        self._events = events
        self._stopwatch = stopwatch
        self._progress_at = 0.0
        self._metrics_at = 0.0
        self._lr = 0.0
        self.last: dict[str, Any] = {}
        """The values of the last whole epoch."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._lr = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, Classifier)
        self._tell(pl_module)
        batches = int(trainer.num_training_batches)
        self._progress(trainer, "train", batch_idx + 1, batches, self._stopwatch.rate)
        now = time.monotonic()
        if now - self._metrics_at >= STEP_METRICS_EVERY_S:
            self._metrics_at = now
            loss, accuracy, _ = pl_module.latest.tolist()
            values = {"train_loss": loss, "train_accuracy": accuracy, "lr": self._lr}
            self._write_metric(trainer, "step", values)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, Classifier)
        self._tell(pl_module)
        self._progress(trainer, "validate", batch_idx + 1, int(trainer.num_val_batches[0]), None)

    def _tell(self, module: Classifier) -> None:
        for message in module.notices:
            self._events.write("log", level="warning", message=message)
        module.notices.clear()

    def _progress(
        self, trainer: pl.Trainer, task: str, done: int, total: int, rate: float | None
    ) -> None:
        """At most twice a second, and at the end of a task."""
        now = time.monotonic()
        if done < total and now - self._progress_at < PROGRESS_EVERY_S:
            return
        self._progress_at = now
        left = self._stopwatch.left_s(trainer)
        self._events.write(
            "progress",
            task=task,
            epoch=trainer.current_epoch,
            epochs=trainer.max_epochs,
            done=done,
            total=total,
            unit="batches",
            rate=rate,
            eta_s=None if left is None else round(left, 1),
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        logged = trainer.callback_metrics
        values = {
            **pl_module.training_means(),
            **{name: float(logged[name]) for name in VALIDATED},
        }
        values["lr"] = self._lr
        values["seconds"], warm_up = self._stopwatch.epoch_s
        self.last = {"epoch": trainer.current_epoch, **_rounded(values)}
        self._write_metric(trainer, "epoch", values, warm_up=round(warm_up, 3))

    def _write_metric(
        self, trainer: pl.Trainer, every: str, values: dict[str, Any], **fields: float
    ) -> None:
        self._events.write(
            "metric",
            epoch=trainer.current_epoch,
            step=trainer.global_step,
            every=every,
            values=_rounded(values),
            **fields,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = dict(state_dict["last"])


class OverfittingWatch(pl.Callback):
    """Says once, as a warning in the log, that an adversarial training overfits catastrophically.

    By the sanity panel's own rule, :func:`engine.overfitting.collapses`.
    """

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._pgd: list[float] = []
        self._fgsm: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        known = len(collapses(self._pgd, self._fgsm))
        self._pgd.append(float(trainer.callback_metrics["val_robust_accuracy"]))
        self._fgsm.append(float(trainer.callback_metrics["val_fgsm_accuracy"]))
        if known or not collapses(self._pgd, self._fgsm):
            return
        message = (
            f"catastrophic overfitting in epoch {trainer.current_epoch + 1}: robust accuracy under "
            f"PGD fell from {max(self._pgd):.1%} to {self._pgd[-1]:.1%} while that under FGSM is "
            f"{self._fgsm[-1]:.1%}; best_robust is from before"
        )
        self._events.write("log", level="warning", message=message)

    def state_dict(self) -> dict[str, Any]:
        return {"pgd": self._pgd, "fgsm": self._fgsm}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pgd, self._fgsm = list(state_dict["pgd"]), list(state_dict["fgsm"])


def _rounded(values: dict[str, float]) -> dict[str, float]:
    """Six digits: what is left of a float32 mean."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}


class CheckpointReporter(Checkpoint):
    """Writes an event for each checkpoint that has just been kept.

    A ``Checkpoint`` itself, because Lightning calls those last, in order: by then the keepers
    before it have written their files, or on a GPU handed them over to be written.
    """

    def __init__(self, events: EventWriter, keepers: list[ModelCheckpoint]) -> None:
        self._events = events
        self._keepers = keepers
        self._known: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._known = self._scores()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scores = self._scores()
        for name, score in scores.items():
            if self._known.get(name) != score:
                report_checkpoint(self._events, trainer, name, MONITORS[name], score)
        self._known = scores
        report_checkpoint(self._events, trainer, "last", None, None)

    def _scores(self) -> dict[str, float]:
        return {
            str(keeper.filename): float(keeper.best_model_score)
            for keeper in self._keepers
            if keeper.monitor and keeper.best_model_score is not None
        }


def report_checkpoint(
    events: EventWriter, trainer: pl.Trainer, name: str, monitor: str | None, value: float | None
) -> None:
    """Say that the checkpoint ``name`` now holds this step."""
    events.write(
        "checkpoint",
        name=name,
        epoch=trainer.current_epoch,
        step=trainer.global_step,
        monitor=monitor,
        value=value,
    )


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
