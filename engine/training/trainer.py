"""Carry out a train spec: data, Lightning module, Lightning's Trainer with its callbacks, result.

Knows nothing about recipes and attacks.
"""

import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.strategies import DDPStrategy

from engine.data.datamodule import PicturesOnDevice
from engine.data.datasets import load
from engine.data.generated import GeneratedImages, unpacked
from engine.data.splits import split_validation
from engine.devices import autocast_dtype
from engine.models.initial_weights import file_of, take_weights
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from engine.training.callbacks.averaging import EqualAveraging, moving_average
from engine.training.callbacks.checkpointing import checkpoint_io, keepers
from engine.training.callbacks.loss_watch import LossWatch
from engine.training.callbacks.overfitting_watch import OverfittingWatch
from engine.training.callbacks.profiler import Profiler
from engine.training.callbacks.progress import Reporter
from engine.training.callbacks.stopping import Patience, SaveAtBatch, StopAtBatch, StopAtEpoch
from engine.training.callbacks.stopwatch import Stopwatch
from engine.training.checkpoint_record import settle_record
from engine.training.compiled_passes import is_wanted
from engine.training.flops import costs
from engine.training.lightning_module import Classifier
from engine.training.resumption import Resumption
from engine.world import ALONE, World
from runs.errors import UserError
from runs.passes import passes, validation_passes
from runs.spec import TrainSpec


def train(
    context: RunContext,
    spec: TrainSpec,
    device: torch.device,
    resumed: Resumption | None,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train as ``spec`` says.

    Args:
        context: of the run.
        spec: of the run.
        device: of this process.
        resumed: the checkpoint to go on from; None where the training begins.
        world: the processes of the training, of which only rank 0 writes files.

    Returns:
        The fields of a train run's result: epochs, steps, speed, last metrics, checkpoints.

    Raises:
        StopRequested: a stop was requested; the run can be resumed from ``last.ckpt``.
        DivergedError: the loss is not a number; ``last.ckpt`` holds the last finite epoch or stop.
        UserError: the spec does not fit the data.
    """
    run, events = context.run, context.events
    stop = AgreedStop(context.stop, world)
    splits = load(spec.data, run.home, spec.data_dir)
    training, validation = split_validation(
        splits.train, spec.val_per_class, spec.seed, spec.train_limit
    )
    if len(training) < spec.batch_size:
        raise UserError(
            f"batch_size {spec.batch_size} exceeds the {len(training)} training images: choose a "
            "smaller batch_size"
        )
    generated = None
    if spec.generated is not None:
        folder = unpacked(Path(spec.generated), run.home, context.reporting_bytes("unpacking"))
        generated = GeneratedImages(folder, len(splits.train))
    pl.seed_everything(spec.seed, workers=False, verbose=False)
    data = PicturesOnDevice(
        training.to(device),
        validation.to(device),
        spec,
        flips=splits.flips,
        world=world,
        mean=splits.mean,
        generated=generated,
    )
    steps_per_epoch = len(data.train_dataloader())
    _, _, height, width = training.images.shape
    module = Classifier(
        spec,
        len(splits.classes),
        list(splits.mean),
        list(splits.std),
        steps=spec.epochs * steps_per_epoch,
        compiling=is_wanted(spec, device),
        world=world,
        device=device,
        size=(height, width),
    )
    if spec.init is not None and resumed is None:
        head = take_weights(module.network, file_of(spec, run.home), spec)
        new = f"; {', '.join(head)} are new, for {len(splits.classes)} classes" if head else ""
        events.write("log", level="info", message=f"starts from the weights of {spec.init}{new}")
    cost = costs(module.network, (height, width))
    validation_cost, step_cost = cost.of(validation_passes(spec)), cost.of(passes(spec))
    stopwatch = Stopwatch(len(validation) * validation_cost / (spec.batch_size * step_cost))
    bf16 = autocast_dtype(spec.precision, device) is torch.bfloat16
    loss_watch = LossWatch(events, spec, bf16=bf16)
    reporter = Reporter(events, stopwatch, loss_watch)
    last = run.checkpoint("last")
    if resumed is not None and resumed.warning:
        events.write("log", level="warning", message=resumed.warning)
    if resumed is not None and resumed.notice:
        events.write("log", level="info", message=resumed.notice)

    watches = [OverfittingWatch(events)] if spec.mode == "robust" else []
    patience = [] if spec.patience is None else [Patience(spec.patience)]
    _silence_lightning()
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        **_processes(device, world),
        precision="bf16-mixed" if bf16 else "32-true",
        max_epochs=spec.epochs,
        callbacks=[
            *_averaging(spec, steps_per_epoch),
            stopwatch,
            loss_watch,
            reporter,
            *watches,
            *patience,
            StopAtBatch(stop, last),
            SaveAtBatch(spec.checkpoint_minutes, last, world.any),
            *keepers(last.parent),
            StopAtEpoch(stop),
            *([Profiler(run.path, stopwatch)] if spec.profile and world.rank == 0 else []),
        ],
        plugins=[checkpoint_io(device, events), _environment(world)],
        use_distributed_sampler=False,
        default_root_dir=run.path,
        benchmark=True,
        inference_mode=False,  # attacks in the validation need gradients
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    if not module.settled:
        events.write("log", level="info", message="compiling: the first steps take about a minute")
    if world.rank == 0:
        settle_record(run, events)
    began = time.monotonic()
    trainer.fit(module, datamodule=data, ckpt_path=resumed.path if resumed else None)
    epochs = int(reporter.last["epoch"]) + 1
    if epochs < spec.epochs:
        duration = "1 epoch" if spec.patience == 1 else f"{spec.patience} epochs"
        message = (
            f"stopped early: robust accuracy has not risen for {duration} on the validation split"
        )
        events.write("log", level="info", message=message)
    dtype = torch.bfloat16 if bf16 else torch.float32
    return {
        "mode": spec.mode,
        "epochs": epochs,
        "steps": trainer.global_step,
        "train_images": len(training),
        **({} if generated is None else {"generated_images": len(generated)}),
        "val_images": len(validation),
        "precision": "bf16" if bf16 else "fp32",
        "fit_seconds": time.monotonic() - began,
        **stopwatch.summary(spec, trainer.global_step, cost, device, dtype),
        "last": reporter.last,
        "checkpoints": settle_record(run, events) if world.rank == 0 else {},
    }


def _environment(world: World) -> ClusterEnvironment:
    """Where Lightning finds its processes, whatever a scheduler's variables say: it would take
    SLURM_NTASKS=4 of an interactive job for a wrong start of one process."""
    return LightningEnvironment() if world.size == 1 else TorchElasticEnvironment()


def _processes(device: torch.device, world: World) -> dict[str, Any]:
    """The Trainer's arguments for its devices."""
    if world.size == 1:
        return {"devices": [device.index or 0] if device.type == "cuda" else 1}
    return {
        "devices": world.local_size,
        "num_nodes": world.size // world.local_size,
        "strategy": Ranks(),
    }


class Ranks(DDPStrategy):
    """Lightning's processes without the wrapper around the module.

    The wrapper exchanges gradients during the backward pass. Here a step can fail on one rank, its
    loss can consist of parts, and AWP takes gradients twice: the module exchanges its gradients
    itself, when all ranks have theirs.
    """

    def configure_ddp(self) -> None:
        """No wrapper."""


class AgreedStop:
    """A stop signal that all ranks hear at the same step: that of rank 0.

    All ranks must ask at the same places.
    """

    def __init__(self, stop: StopSignal, world: World) -> None:
        self._stop = stop
        self._world = world

    def listen(self) -> None:
        """As :meth:`engine.process.stop_signal.StopSignal.listen`."""
        self._stop.listen()

    @property
    def requested(self) -> bool:
        """Whether a stop was requested of any rank."""
        return self._world.any(self._stop.requested)


def _averaging(spec: TrainSpec, steps_per_epoch: int) -> list[WeightAveraging]:
    """The callback that averages the weights; empty where the spec asks for none."""
    if spec.swa_start is not None:
        first = math.ceil(round(spec.swa_start * spec.epochs, 6))
        return [EqualAveraging(first, steps_per_epoch)]
    return [moving_average(spec.ema_decay)] if spec.ema_decay > 0 else []


def _silence_lightning() -> None:
    """Keep Lightning's advice out of the log: it is for people who write training scripts."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*Checkpoint directory.*exists.*",
        ".*`srun` command is available.*",  # it looks for Slurm in spite of its environment plugin
        ".*sync_dist=True.*",  # what is logged is that of all ranks already
    ):
        warnings.filterwarnings("ignore", pattern)
    warnings.filterwarnings("ignore", ".*lr_scheduler.step.*before.*optimizer.step.*")
