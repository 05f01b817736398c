"""Writes the progress and the metrics of a training as events.

It changes nothing in the training, and knows nothing about recipes and attacks.
"""

import time
from typing import Any, Literal

import pytorch_lightning as pl

from engine.training.callbacks.loss_watch import LossWatch
from engine.training.callbacks.stopwatch import Stopwatch
from engine.training.checkpoint_record import MONITORS
from engine.training.lightning_module import Classifier
from runs.event_types import MetricFields
from runs.events import EventWriter

PROGRESS_EVERY_S = 0.5
"""Shortest time between two ``progress`` events of a task, in seconds."""
STEP_METRICS_EVERY_S = 2.0
"""Shortest time between two ``metric`` events of training steps, in seconds."""
VALIDATED = ("val_loss", "val_fgsm_accuracy", *MONITORS.values())
"""Metrics of a validation that an epoch's ``metric`` event contains."""


class Reporter(pl.Callback):
    """Writes ``progress``, ``metric`` and ``log`` events.

    It must come after ``stopwatch``, which it reads, in the list of callbacks. ``watch`` judges
    every loss that it reads. The class name is part of every checkpoint.
    """

    def __init__(self, events: EventWriter, stopwatch: Stopwatch, watch: LossWatch) -> None:
        self._events = events
        self._stopwatch = stopwatch
        self._watch = watch
        self._progress_at = 0.0
        self._metrics_at = 0.0
        self._lr = 0.0
        self.last: dict[str, Any] = {}
        """The epoch number and the metrics of the last complete epoch."""

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
        self._write_notices(pl_module)
        batches = int(trainer.num_training_batches)
        self._progress(trainer, "train", batch_idx + 1, batches, self._stopwatch.rate)
        now = time.monotonic()
        if now - self._metrics_at >= STEP_METRICS_EVERY_S:
            self._metrics_at = now
            loss, accuracy, _ = pl_module.latest.tolist()
            self._watch.see(trainer, pl_module, loss)
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
        self._write_notices(pl_module)
        self._progress(trainer, "validate", batch_idx + 1, int(trainer.num_val_batches[0]), None)

    def _write_notices(self, module: Classifier) -> None:
        """Write the module's notices as warnings, and clear them."""
        for message in module.notices:
            self._events.write("log", level="warning", message=message)
        module.notices.clear()

    def _progress(
        self, trainer: pl.Trainer, task: str, done: int, total: int, rate: float | None
    ) -> None:
        """Write a ``progress`` event, at most twice a second, and at the end of a task."""
        now = time.monotonic()
        if done < total and now - self._progress_at < PROGRESS_EVERY_S:
            return
        self._progress_at = now
        remaining_s = self._stopwatch.left_s(trainer)
        self._events.write(
            "progress",
            task=task,
            epoch=trainer.current_epoch,
            epochs=trainer.max_epochs,
            done=done,
            total=total,
            unit="batches",
            rate=rate,
            eta_s=None if remaining_s is None else round(remaining_s, 1),
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
        self._write_metric(trainer, "epoch", values, warm_up)

    def _write_metric(
        self,
        trainer: pl.Trainer,
        every: Literal["step", "epoch"],
        values: dict[str, float],
        warm_up: float | None = None,
    ) -> None:
        fields: MetricFields = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "every": every,
            "values": _rounded(values),
        }
        if warm_up is not None:
            fields["warm_up"] = round(warm_up, 3)
        self._events.write("metric", **fields)

    def state_dict(self) -> dict[str, Any]:
        return {"last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last = dict(state_dict["last"])


def _rounded(values: dict[str, float]) -> dict[str, float | None]:
    """Values with six significant digits, the precision of a float32 mean."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}
