"""How fast a training goes, how long it has left, and its share of the hardware's rate."""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch

from engine.devices import matmul_rate, synchronize
from engine.training.flops import Costs, passes
from runs.spec import TrainSpec

WAIT_EVERY_S = 2.0
"""A GPU is behind the process that feeds it: so often it is waited for, to know what is done."""


class Stopwatch(pl.Callback):
    """Seconds spent in training steps, over all attempts and in this epoch, and in whole epochs.

    Steps in which kernels are compiled or chosen are warm-up, and no rate is taken from them.
    ``validation_steps``: how many training steps a validation costs, until it is measured.
    """

    def __init__(self, validation_steps: float = 0.0) -> None:
        self._validation_steps = validation_steps
        self._mark = self._began = time.monotonic()
        self._whole = self._settled = self._validated = False
        self._pending = 0
        self.steps = 0
        """Settled training steps."""
        self.steps_s = 0.0
        """Seconds in them; validations and checkpoints aside."""
        self.warm_up_s = 0.0
        """Seconds in all other training steps."""
        self.epochs_s: list[float] = []
        """Seconds of each epoch, with its validation; of those that ran in one attempt."""
        self.between_s: float | None = None
        """Seconds from the latest epoch's last step to the first one after it."""
        self._at_epoch_start = (0, 0.0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start(pl_module)
        self._whole = self._validated = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._validated:
            self.between_s = time.monotonic() - self._mark
        self._start(pl_module)  # not called where an epoch is resumed
        self._whole = True

    def _start(self, module: Any) -> None:
        self._mark = self._began = time.monotonic()
        self._settled = module.settled
        self._pending = 0
        self._at_epoch_start = (self.steps, self.steps_s, self.warm_up_s)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self._pending += 1
        device, soon = pl_module.device, time.monotonic() - self._mark < WAIT_EVERY_S
        if device.type == "cuda" and self._settled and soon and not trainer.is_last_batch:
            return
        synchronize(device)
        now = time.monotonic()
        spent, self._mark = now - self._mark, now
        done, self._pending = self._pending, 0
        if self._settled:
            self.steps += done
            self.steps_s += spent
        else:
            self.warm_up_s += spent
        self._settled = pl_module.settled

    def skip(self) -> None:
        """Count nothing of the time since the last step that was counted."""
        self._mark = time.monotonic()
        self._pending = 0

    @property
    def rate(self) -> float | None:
        """Training steps a second in this epoch so far; None before the first settled one."""
        steps, seconds, _ = self._at_epoch_start
        return (self.steps - steps) / (self.steps_s - seconds) if self.steps > steps else None

    def left_s(self, trainer: pl.Trainer) -> float | None:
        """Seconds to the end of a training, validations and checkpoints with it; None before its
        first settled step."""
        rate = self.rate or (self.steps / self.steps_s if self.steps else None)
        if rate is None:
            return None
        assert trainer.max_epochs is not None
        steps = trainer.max_epochs * int(trainer.num_training_batches) - trainer.global_step
        validations = trainer.max_epochs - trainer.current_epoch
        each = self._validation_steps / rate if self.between_s is None else self.between_s
        done = min(each, time.monotonic() - self._mark) if trainer.validating else 0.0
        return steps / rate + validations * each - done

    @property
    def epoch_s(self) -> tuple[float, float]:
        """Seconds of this epoch so far, and what of them was warm-up."""
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
        """The fields of a result: images, FLOPs and rates of ``steps`` training steps."""
        images = steps * spec.batch_size
        a_step = spec.batch_size * cost.of(passes(spec))
        every = self.steps_s + self.warm_up_s
        settled = self.steps / self.steps_s if self.steps else steps / every
        best = matmul_rate(device, dtype)
        return {
            "train_seconds": round(every, 3),
            "warm_up_seconds": round(self.warm_up_s, 3),
            "seconds_per_epoch": round(statistics.median(self.epochs_s), 3)
            if self.epochs_s
            else None,
            "images": images,
            "images_per_second": round(settled * spec.batch_size, 1),
            "flops": steps * a_step,
            "flops_per_second": round(settled * a_step),
            "matmul_flops_per_second": round(best),
            "flop_utilisation": float(f"{settled * a_step / best:.4g}"),
        }
