"""Carry out one train or attack spec: check, wait for the device, work, report.

Imports torch; the part of a worker that must not wait for that is in ``__main__``.
"""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchvision

from engine.data.datasets import ensure_data
from engine.data.image_folder import picture_size
from engine.devices import autocast_dtype, describe, lock_name, resolve
from engine.evaluation.evaluate import evaluate, load_reference
from engine.process.device_lock import take_turn
from engine.process.stop_signal import StopSignal
from engine.training.trainer import resume_point, train
from runs.datasets import DATASETS, dataset_of
from runs.events import EventWriter
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run


def carry_out(
    run: Run,
    spec: TrainSpec | AttackSpec,
    events: EventWriter,
    stop: StopSignal,
    started: Callable[..., None],
) -> dict[str, Any]:
    """Do what ``spec`` says and return the fields of the result.

    ``started`` is called once, when everything is checked and the device is ours.

    Raises:
        UserError: a device, data or checkpoint is not there or does not fit.
        StopRequested: a stop was asked for.
    """
    device = resolve(spec.device)

    def report_download(done: int, total: int) -> None:
        events.write("progress", task="download", done=done, total=total, unit="bytes", rate=None)
        stop.check()

    ensure_data(spec.data, run.home, spec.data_dir, report_download)
    resumed_from = None
    if isinstance(spec, TrainSpec):
        resumed_from = resume_point(run)
    else:
        # To refuse what doesn't fit. Read again when it is our turn: while we are queued, the
        # training that we attack may replace its best checkpoints.
        size = (32, 32)
        if spec.data not in DATASETS:
            size = picture_size(Path(spec.data), spec.resize)
        for reference in spec.references:
            load_reference(reference, run, dataset_of(spec.data).classes, size)
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)

    def has_to_wait() -> None:
        message = f"queued: another run of this home works on {device}"
        events.write("log", level="info", message=message)

    turn = (
        None
        if spec.share
        else take_turn(lock_name(device), run.home, has_to_wait=has_to_wait, check_stop=stop.check)
    )
    try:
        started(
            resumed_from=resumed_from,
            device=str(device),
            device_name=describe(device),
            threads=torch.get_num_threads(),
            precision="fp32" if autocast_dtype(spec.precision, device) is None else "bf16",
            cuda_visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
            versions={
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "pytorch_lightning": version("pytorch-lightning"),
                "cuda": torch.version.cuda,
            },
        )
        work = train if isinstance(spec, TrainSpec) else evaluate
        return work(run, spec, device, events, stop)  # type: ignore[arg-type]
    finally:
        if turn is not None:
            turn.release()
