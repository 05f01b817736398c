"""Records five training steps with PyTorch's profiler, to show where their time goes.

Knows nothing about recipes: it reads the names that parts of a step were recorded under.
"""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile

from engine.devices import synchronize
from engine.training.callbacks.stopwatch import Stopwatch
from runs.storage import writing

PHASES = ("augmentation", "attack", "optimiser")
"""Names under which ``torch.profiler.record_function`` records parts of a training step. The rest
of a step is the gradient descent."""
FIRST = 5
"""Steps before the recording; they compile and choose kernels."""
RECORDED = 5
"""Recorded steps."""
OPERATORS = 25
"""Rows of the table of operators."""


class Profiler(pl.Callback):
    """Writes ``profile/time.txt`` (phases, then operators) and ``profile/trace.json`` (for
    chrome://tracing or Perfetto) into a run's folder. The steps are of the first whole epoch.

    The ``stopwatch`` leaves out the time of the profiler itself.
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
            pl_module.notices.append(
                "no profile was written: an epoch needs at least 2 steps for it, and has 1"
            )

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
        report = _report(recorded, steps, seconds, device)
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            (self._folder / "time.txt").write_text(report, encoding="utf-8")
            recorded.export_chrome_trace(str(self._folder / "trace.json"))


def _profiler(device: torch.device) -> profile:
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities, acc_events=True)


def _report(recorded: profile, steps: int, seconds: float, device: torch.device) -> str:
    """The content of ``time.txt``: seconds and share of each phase, then a table of operators."""
    operators = recorded.key_averages()
    on_gpu = device.type == "cuda"
    kind = "device" if on_gpu else "cpu"
    # On a GPU a phase has two rows: one for its thread on the CPU, one for the time on the GPU.
    rows = (row for row in operators if row.device_type.name == ("CUDA" if on_gpu else "CPU"))
    total_s = {row.key: getattr(row, f"{kind}_time_total") / 1e6 for row in rows}
    phases = {name: total_s.get(name, 0.0) for name in PHASES}
    phases["descent and rest"] = seconds - sum(phases.values())
    lines = [f"{steps} training steps on {device}: {seconds / steps:.4f} s each, profiled", ""]
    for name, phase_s in phases.items():
        lines.append(f"{name:<18} {phase_s / steps:>9.4f} s {phase_s / seconds:>7.1%}")
    table = operators.table(sort_by=f"self_{kind}_time_total", row_limit=OPERATORS)
    return "\n".join([*lines, "", table, ""])
