"""Carry out a train or attack spec: check it, wait for the device, do the work.

Imports torch; what a worker does before that import is in ``__main__``. Knows nothing about
heartbeats, results files and exit codes.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchvision

from engine.data.datasets import ensure_data, load
from engine.data.image_folder import picture_size
from engine.devices import autocast_dtype, candidates, describe, lock_name, take_cpu_slot
from engine.evaluation.corruptions import compare_labels
from engine.evaluation.evaluate import evaluate, load_reference
from engine.models.build import new_model
from engine.models.initial_weights import file_of, take_weights
from engine.process.device_queue import DeviceQueue, cpu_slots
from engine.process.ranks import Place, other_ranks, place_of, watched
from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.training.resumption import Resumption, resumption
from engine.training.trainer import train
from engine.world import ALONE, MEETING, PATIENCE, World, joined, rank_devices
from runs.corruptions import check_corruptions
from runs.datasets import DATASETS, dataset_of
from runs.errors import EXIT_FAILED, UserError
from runs.events import EventWriter
from runs.generated import check_generated
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run

LAST_WORDS_S = 3.0
"""Seconds in which a failed exchange may be explained by a rank that has ended."""


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
    run = context.run
    place = None
    if spec.devices > 1:
        place = place_of(spec.devices, os.environ)
        devices = rank_devices(spec.device, place)
        device = devices[place.local_rank]
    else:
        devices = candidates(spec.device)
        device = devices[0]

    ensure_data(spec.data, run.home, spec.data_dir, context.reporting_bytes("download"))
    resumed: Resumption | None = None
    if isinstance(spec, TrainSpec):
        if spec.generated is not None:  # the file may be gone since the run was made
            check_generated(Path(spec.generated), spec.data)
        resumed = resumption(run, spec)
        if resumed is None:
            _check_network(spec, run.home)
    else:
        _check_references(context, spec)

    queue = context.queue
    with ExitStack() as held:
        if queue is not None and place is not None:
            for name in sorted(set(map(lock_name, devices))):
                held.enter_context(queue.device(name))
        elif queue is not None:
            device = held.enter_context(_first_free(queue, devices))
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        report_started(
            {
                "resumed_from": resumed.point if resumed else None,
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
        if place is None:
            return _work(context, spec, device, resumed, ALONE)
        return _work_together(context, spec, device, resumed, place)


def _work(
    context: RunContext,
    spec: TrainSpec | AttackSpec,
    device: torch.device,
    resumed: Resumption | None,
    world: World,
) -> dict[str, Any]:
    if isinstance(spec, TrainSpec):
        return train(context, spec, device, resumed, world)
    return evaluate(context, spec, device, world)


@contextmanager
def _first_free(queue: DeviceQueue, devices: Sequence[torch.device]) -> Iterator[torch.device]:
    """Hold the first of these devices that is free; of the CPU a slot, where it has several."""
    slots = cpu_slots()
    if devices[0].type == "cpu" and slots > 1:
        names = [f"cpu-{number}" for number in range(slots)]
        with queue.first_free(names) as name:
            take_cpu_slot(names.index(name), slots)
            yield devices[0]
        return
    by_name = {lock_name(device): device for device in devices}
    with queue.first_free(list(by_name)) as name:
        yield by_name[name]


def carry_out_rank(
    run: Run, spec: TrainSpec | AttackSpec, events: EventWriter, stop: StopSignal
) -> None:
    """Do the part of a rank other than 0; see :mod:`engine.process.ranks`.

    Raises:
        UserError: its device is missing.
        StopRequested: the ranks have agreed on a stop.
    """
    place = place_of(spec.devices, os.environ)
    device = rank_devices(spec.device, place)[place.local_rank]
    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    context = RunContext(run, events, stop)
    resumed = resumption(run, spec) if isinstance(spec, TrainSpec) else None
    _work_together(context, spec, device, resumed, place)


def _work_together(
    context: RunContext,
    spec: TrainSpec | AttackSpec,
    device: torch.device,
    resumed: Resumption | None,
    place: Place,
) -> dict[str, Any]:
    """Train or attack with the other ranks.

    Raises:
        StopRequested: a stop was requested.
        UserError: another rank has failed; the message is its own.
    """
    met: list[World] = []
    with other_ranks(context.run.path, place) as others:

        def problem() -> str | None:
            return (met[0].heard_error() if met else None) or others.dead()

        over = watched(problem, context.fail) if context.fail is not None else None
        try:
            # Ranks of an attack run meet once for each batch, which takes as long as it takes.
            patience = PATIENCE if isinstance(spec, TrainSpec) else MEETING
            with joined(place, device, patience) as world:
                met.append(world)
                return _work(context, spec, device, resumed, world)
        except Exception as error:
            if isinstance(spec, AttackSpec) and context.stop.requested:  # another rank has heard it
                raise StopRequested from error
            if place.rank == 0 and (found := _first(problem)) is not None:
                raise UserError(found, exit_code=EXIT_FAILED) from error
            if met:
                met[0].tell_error(str(error) or type(error).__name__)
            raise
        finally:
            if over is not None:
                over.set()


def _first(problem: Callable[[], str | None]) -> str | None:
    """What is wrong with another rank: an exchange fails a moment before its process has ended."""
    deadline = time.monotonic() + LAST_WORDS_S
    while (found := problem()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _check_network(spec: TrainSpec, home: Path) -> None:
    """Refuse a foreign network that can't be trained, and weights that don't fit.

    This is before the run waits for its device.

    Raises:
        NotFoundError, UserError: as :func:`engine.models.build.new_model`, and
            :func:`engine.models.initial_weights.take_weights`.
    """
    if ":" in spec.arch or spec.init is not None:
        model = new_model(spec, DATASETS[spec.data].classes, [0.5] * 3, [0.5] * 3)
        if spec.init is not None:
            take_weights(model, file_of(spec, home), spec)


def _check_references(context: RunContext, spec: AttackSpec) -> None:
    """Refuse models and corrupted images that don't fit, before the run waits for its device.

    The models are read again when the run has its device: until then, the training that it attacks
    may replace its best checkpoints.

    Raises:
        NotFoundError: a model, or corrupted images, are missing.
        UserError: a model is damaged, or does not fit the data set; or corrupted images don't.
    """
    size = (32, 32)
    if spec.data not in DATASETS:
        size = picture_size(Path(spec.data), spec.resize)
    if spec.corruptions is not None:
        folder = Path(spec.corruptions)
        check_corruptions(folder, spec.data)
        compare_labels(folder, load(spec.data, context.run.home, spec.data_dir).test, spec.data)
    for reference in spec.references:
        load_reference(reference, context.run, dataset_of(spec.data).classes, size)
