"""Where the time of a training step goes: five steps under PyTorch's profiler."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile

from engine.devices import synchronize
from engine.training.callbacks.stopwatch import Stopwatch

PHASES = ("augmentation", "attack", "optimiser")
"""What ``torch.profiler.record_function`` calls parts of a training step; the rest is descent."""
FIRST = 5
"""The first steps compile, and choose their kernels."""
RECORDED = 5
OPERATORS = 25


class Profiler(pl.Callback):
    """Writes ``profile/time.txt`` (phases, then operators) and ``profile/trace.json`` (for
    chrome://tracing or Perfetto) into a run's folder, of steps of the first whole epoch.

    Its own work is kept from the ``stopwatch``.
    """

    def __init__(self, folder: Path, stopwatch: Stopwatch) -> None:
        self._folder = folder / "profile"
        self._stopwatch = stopwatch
        self._profile: profile | None = None
        self._is_done = False
        self._steps = 0
        self._began = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._steps = 0  # not called where an epoch is resumed
        if trainer.num_training_batches == 1 and trainer.current_epoch == 0:
            pl_module.notices.append("no profile: it takes two steps an epoch, and there is one")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self._steps += 1
        first = max(0, min(FIRST, int(trainer.num_training_batches) - RECORDED - 1))
        if self._steps == first + 1 and not (trainer.is_last_batch or self._is_done):
            self._profile = _profiler(pl_module.device)
            synchronize(pl_module.device)
            self._began = time.monotonic()
            self._profile.start()
            self._stopwatch.skip()
        elif self._profile is not None and (
            trainer.is_last_batch or self._steps == first + 1 + RECORDED
        ):
            self._write(self._profile, self._steps - first - 1, pl_module.device)
            self._profile, self._is_done = None, True
            self._stopwatch.skip()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        if self._profile is not None:
            self._profile.stop()

    def _write(self, recorded: profile, steps: int, device: torch.device) -> None:
        synchronize(device)
        seconds = time.monotonic() - self._began
        recorded.stop()
        self._folder.mkdir(exist_ok=True)
        (self._folder / "time.txt").write_text(_told(recorded, steps, seconds, device))
        recorded.export_chrome_trace(str(self._folder / "trace.json"))


def _profiler(device: torch.device) -> profile:
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities, acc_events=True)


def _told(recorded: profile, steps: int, seconds: float, device: torch.device) -> str:
    operators = recorded.key_averages()
    on_gpu = device.type == "cuda"
    kind = "device" if on_gpu else "cpu"
    # On a GPU a phase has two rows: what its thread has launched, and the span on the GPU itself.
    rows = (one for one in operators if one.device_type.name == ("CUDA" if on_gpu else "CPU"))
    spent = {one.key: getattr(one, f"{kind}_time_total") / 1e6 for one in rows}
    phases = {name: spent.get(name, 0.0) for name in PHASES}
    phases["descent and rest"] = seconds - sum(phases.values())
    lines = [f"{steps} training steps on {device}: {seconds / steps:.4f} s each, profiled", ""]
    for name, share in phases.items():
        lines.append(f"{name:<18} {share / steps:>9.4f} s {share / seconds:>7.1%}")
    table = operators.table(sort_by=f"self_{kind}_time_total", row_limit=OPERATORS)
    return "\n".join([*lines, "", table, ""])
