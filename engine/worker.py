"""Carry out a train or attack spec: check it, wait for the device, do the work.

Imports torch; what a worker does before that import is in ``__main__``. Knows nothing about
heartbeats, results files and exit codes.
"""

import os
import platform
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchvision

from engine.data.datasets import ensure_data
from engine.data.image_folder import picture_size
from engine.devices import autocast_dtype, describe, lock_name, resolve
from engine.evaluation.evaluate import evaluate, load_reference
from engine.process.run_context import ReportStarted, RunContext
from engine.training.trainer import resume_point, train
from runs.datasets import DATASETS, dataset_of
from runs.event_types import ResumePoint
from runs.spec import AttackSpec, TrainSpec


def carry_out(
    context: RunContext, spec: TrainSpec | AttackSpec, report_started: ReportStarted
) -> dict[str, Any]:
    """Carry out ``spec`` and return the fields of the result.

    Args:
        context: of the run.
        spec: of the run.
        report_started: called once, when all checks have passed and the run has its device.

    Raises:
        UserError: a device, data or checkpoint is missing or does not fit.
        StopRequested: a stop was requested.
    """
    run, events, stop = context.run, context.events, context.stop
    device = resolve(spec.device)

    def report_download(done: int, total: int) -> None:
        events.write("progress", task="download", done=done, total=total, unit="bytes", rate=None)
        stop.check()

    ensure_data(spec.data, run.home, spec.data_dir, report_download)
    resumed_from: ResumePoint | None = None
    if isinstance(spec, TrainSpec):
        resumed_from = resume_point(run)
    else:
        _check_references(context, spec)
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)

    queue = context.queue
    with nullcontext() if queue is None else queue.device(lock_name(device)):
        report_started(
            {
                "resumed_from": resumed_from,
                "device": str(device),
                "device_name": describe(device),
                "threads": torch.get_num_threads(),
                "precision": "fp32" if autocast_dtype(spec.precision, device) is None else "bf16",
                "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
                "versions": {
                    "python": platform.python_version(),
                    "torch": torch.__version__,
                    "torchvision": torchvision.__version__,
                    "pytorch_lightning": version("pytorch-lightning"),
                    "cuda": torch.version.cuda,
                },
            }
        )
        if isinstance(spec, TrainSpec):
            return train(context, spec, device)
        return evaluate(context, spec, device)


def _check_references(context: RunContext, spec: AttackSpec) -> None:
    """Refuse models that don't fit, before the run waits for its device.

    The models are read again when the run has its device: until then, the training that it attacks
    may replace its best checkpoints.

    Raises:
        NotFoundError: a model is missing.
        UserError: a model is damaged, or does not fit the data set.
    """
    size = (32, 32)
    if spec.data not in DATASETS:
        size = picture_size(Path(spec.data), spec.resize)
    for reference in spec.references:
        load_reference(reference, context.run, dataset_of(spec.data).classes, size)
