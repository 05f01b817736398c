"""The speed of a training, its remaining time, and its share of the hardware's rate.

Knows nothing about events and files.
"""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch

from engine.devices import matmul_rate, synchronize
from engine.training.flops import Costs
from runs.passes import passes
from runs.spec import TrainSpec

WAIT_EVERY_S = 2.0
"""Seconds between two waits for a GPU. A GPU works behind the process that queues its work; only a
wait shows which steps are finished."""


class Stopwatch(pl.Callback):
    """Measures the seconds of training steps, over all attempts and in this epoch, and of epochs.

    Steps that compile or choose kernels are warm-up and do not count for a rate; the other steps
    are called settled. ``validation_steps``: the number of training steps that take as long as a
    validation, an estimate used until a validation is measured.
    """

    def __init__(self, validation_steps: float = 0.0) -> None:
        self._validation_steps = validation_steps
        self._mark = self._began = time.monotonic()
        self._whole = self._settled = self._validated = False
        self._pending = 0
        self.steps = 0
        """Number of settled training steps."""
        self.steps_s = 0.0
        """Seconds of the settled steps, without validations and checkpoints."""
        self.warm_up_s = 0.0
        """Seconds of all other training steps."""
        self.epochs_s: list[float] = []
        """Seconds of each epoch with its validation, for epochs that ran in one attempt."""
        self.between_s: float | None = None
        """Seconds from the last step of the latest epoch to the first step after it."""
        self._at_epoch_start = self._at_start_before = (0, 0.0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start(pl_module)
        self._whole = self._validated = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._validated:
            self.between_s = time.monotonic() - self._mark
        self._at_start_before = self._at_epoch_start
        self._start(pl_module)  # not called where an epoch is resumed
        self._whole = True

    def _start(self, module: Any) -> None:
        self._mark = self._began = time.monotonic()
        self._settled = module.settled
        self._pending = 0
        self._at_epoch_start = (self.steps, self.steps_s, self.warm_up_s)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self._pending += 1
        device, recent = pl_module.device, time.monotonic() - self._mark < WAIT_EVERY_S
        if device.type == "cuda" and self._settled and recent and not trainer.is_last_batch:
            return
        synchronize(device)
        now = time.monotonic()
        elapsed, self._mark = now - self._mark, now
        finished, self._pending = self._pending, 0
        if self._settled:
            self.steps += finished
            self.steps_s += elapsed
        else:
            self.warm_up_s += elapsed
        self._settled = pl_module.settled

    def skip(self) -> None:
        """Leave out the time, and the steps, since the latest measurement."""
        self._mark = time.monotonic()
        self._pending = 0

    @property
    def rate(self) -> float | None:
        """Training steps a second in this epoch so far; None before the first settled one."""
        steps, seconds, _ = self._at_epoch_start
        return (self.steps - steps) / (self.steps_s - seconds) if self.steps > steps else None

    def left_s(self, trainer: pl.Trainer) -> float | None:
        """Seconds to the end of the training, with validations and checkpoints; None before the
        first settled step."""
        # From the beginning of the epoch before: a single slow step at the beginning of an epoch
        # must not multiply the estimate.
        steps, seconds, _ = self._at_start_before
        if self.steps == steps:  # resumed: at the rate of the earlier attempts
            steps, seconds = 0, 0.0
        if self.steps == 0:
            return None
        rate = (self.steps - steps) / (self.steps_s - seconds)
        assert trainer.max_epochs is not None
        steps = trainer.max_epochs * int(trainer.num_training_batches) - trainer.global_step
        validations = trainer.max_epochs - trainer.current_epoch
        each = self._validation_steps / rate if self.between_s is None else self.between_s
        done = min(each, time.monotonic() - self._mark) if trainer.validating else 0.0
        return steps / rate + validations * each - done

    @property
    def epoch_s(self) -> tuple[float, float]:
        """Seconds of this epoch so far, and how many of them were warm-up."""
        return time.monotonic() - self._began, self.warm_up_s - self._at_epoch_start[2]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = True
        if self._whole:
            self.epochs_s.append(self.epoch_s[0])

    def state_dict(self) -> dict[str, Any]:
        names = ("steps", "steps_s", "warm_up_s", "epochs_s", "between_s")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = int(state_dict["steps"])
        self.steps_s = float(state_dict["steps_s"])
        self.warm_up_s = float(state_dict["warm_up_s"])
        self.epochs_s = list(state_dict["epochs_s"])
        self.between_s = state_dict.get("between_s")

    def summary(
        self, spec: TrainSpec, steps: int, cost: Costs, device: torch.device, dtype: torch.dtype
    ) -> dict[str, Any]:
        """The fields of a result: seconds, images, FLOPs and rates of ``steps`` training steps.

        ``cost`` are the FLOPs of a pass of one image; ``dtype`` is that of the passes.
        """
        images = steps * spec.batch_size
        step_flops = spec.batch_size * cost.of(passes(spec))
        seconds = self.steps_s + self.warm_up_s
        steps_per_second = self.steps / self.steps_s if self.steps else steps / seconds
        hardware_rate = matmul_rate(device, dtype)
        return {
            "train_seconds": round(seconds, 3),
            "warm_up_seconds": round(self.warm_up_s, 3),
            "seconds_per_epoch": round(statistics.median(self.epochs_s), 3)
            if self.epochs_s
            else None,
            "images": images,
            "images_per_second": round(steps_per_second * spec.batch_size, 1),
            "flops": steps * step_flops,
            "flops_per_second": round(steps_per_second * step_flops),
            "matmul_flops_per_second": round(hardware_rate),
            "flop_utilisation": float(f"{steps_per_second * step_flops / hardware_rate:.4g}"),
        }
