"""How fast a training went, and what share of the hardware's rate that is."""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch

from engine.flops import Costs, passes
from runs.spec import TrainSpec

MATRIX = {"cuda": 8192, "cpu": 1024}
"""Side of the matrix product that stands for the hardware's rate."""


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product: what the hardware reaches at its best in practice."""
    side = MATRIX[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    turns: list[float] = []
    began = time.monotonic()
    while not turns or time.monotonic() - began < seconds:
        _finish(device)
        start = time.perf_counter()
        torch.mm(left, right, out=out)
        _finish(device)
        turns.append(time.perf_counter() - start)
    return 2 * side**3 / min(turns)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Stopwatch(pl.Callback):
    """Seconds spent in training steps over all attempts, and in each epoch as a whole."""

    def __init__(self) -> None:
        self._mark = 0.0
        self._began = 0.0
        self._whole = True
        self.steps_s = 0.0
        """Seconds in training steps; validations and checkpoints aside."""
        self.epochs_s: list[float] = []
        """Seconds of each epoch, with its validation; of those that ran in one attempt."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = self._began = time.monotonic()
        self._whole = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = self._began = time.monotonic()  # not called where an epoch is resumed
        self._whole = True

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.is_last_batch:  # else nothing waits for a GPU
            _finish(pl_module.device)
        now = time.monotonic()
        self.steps_s += now - self._mark
        self._mark = now

    def skip(self) -> None:
        """Count nothing of the time since the last step."""
        self._mark = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._whole:
            self.epochs_s.append(time.monotonic() - self._began)

    def state_dict(self) -> dict[str, Any]:
        return {"steps_s": self.steps_s, "epochs_s": self.epochs_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps_s = float(state_dict["steps_s"])
        self.epochs_s = list(state_dict["epochs_s"])

    def summary(
        self, spec: TrainSpec, steps: int, cost: Costs, device: torch.device, dtype: torch.dtype
    ) -> dict[str, Any]:
        """The fields of a result: images, FLOPs and rates of ``steps`` training steps."""
        images = steps * spec.batch_size
        flops = images * cost.of(passes(spec))
        best = matmul_rate(device, dtype)
        return {
            "train_seconds": round(self.steps_s, 3),
            "seconds_per_epoch": round(statistics.median(self.epochs_s), 3)
            if self.epochs_s
            else None,
            "images": images,
            "images_per_second": round(images / self.steps_s, 1),
            "flops": flops,
            "flops_per_second": round(flops / self.steps_s),
            "matmul_flops_per_second": round(best),
            "flop_utilisation": float(f"{flops / self.steps_s / best:.4g}"),
        }
