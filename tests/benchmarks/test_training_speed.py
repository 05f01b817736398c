"""What Lightning and our callbacks add to a bare PyTorch loop, and our batches beside DataLoader's.

    pytest -m slow -s tests/benchmarks/test_training_speed.py

Ratios of two ways to do the same, in turns in one process.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import cast

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from engine.data.datamodule import PicturesOnDevice
from engine.data.pictures import Pictures
from engine.models.batchnorm_folding import Folded
from engine.process.stop_signal import StopSignal
from engine.seeding import generator
from engine.training.callbacks.averaging import moving_average
from engine.training.callbacks.loss_watch import LossWatch
from engine.training.callbacks.progress import Reporter
from engine.training.callbacks.stopping import StopAtBatch
from engine.training.callbacks.stopwatch import Stopwatch
from engine.training.lightning_module import Classifier
from engine.training.recipes import RECIPES, Setting
from runs.events import EventWriter
from runs.presets import preset
from runs.spec import TrainSpec
from tiny_training import NeverStop

pytestmark = pytest.mark.slow
STEPS, TURNS, ROUNDS = 10, 5, 3
"""A disturbed round does not count against us; slow code fails in all."""
LIGHTNING = 1.05
NOISE = 0.05
"""What the same steps were seen to differ by from turn to turn."""
CPU = torch.device("cpu")


def spec_of_cpu() -> TrainSpec:
    spec = preset("cpu").child("robust")
    assert isinstance(spec, TrainSpec)
    return spec.model_copy(update={"epochs": 1, "precision": "fp32"})


def some_pictures(count: int) -> Pictures:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=rng)
    labels = torch.randint(0, 100, (count,), generator=rng)
    return Pictures(images, labels, torch.arange(count))


def module_of(spec: TrainSpec) -> Classifier:
    torch.manual_seed(0)
    return Classifier(spec, 100, [0.5] * 3, [0.25] * 3, steps=STEPS)


def in_lightning(spec: TrainSpec, pictures: Pictures, events: EventWriter) -> tuple[float, float]:
    """Seconds in training steps, and the loss of the last one."""
    module, stopwatch = module_of(spec), Stopwatch()
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[
            moving_average(spec.ema_decay),
            stopwatch,
            Bare(events, stopwatch, LossWatch(events, spec, bf16=False)),
            StopAtBatch(cast(StopSignal, NeverStop()), Path()),
        ],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    return stopwatch.steps_s, float(module.latest[0])


class Bare(Reporter):
    """All that a training reports in a step; there is no validation here, and no checkpoint."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pass


def by_hand(spec: TrainSpec, pictures: Pictures) -> tuple[float, float]:
    """The same steps in a plain loop, with PyTorch's own moving average of the weights."""
    module = module_of(spec)
    network = module.network.train()
    setup = module.configure_optimizers()
    optimiser, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    folded = Folded(network)
    average = AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(spec.ema_decay), use_buffers=True
    )
    began = time.perf_counter()
    for number in range(STEPS):
        images, labels, _ = data._train_batch(0, number)
        folded.refresh()
        attack_generator = generator(spec.seed, "attack", 0, number)
        setting = Setting(spec, 100, folded.network, attack_generator)
        optimiser.zero_grad()
        loss, _ = RECIPES[spec.recipe](network, images, labels, setting)
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
    return time.perf_counter() - began, loss.item()


def test_lightning_costs_at_most_a_twentieth(tmp_path: Path) -> None:
    spec = spec_of_cpu()
    pictures = some_pictures(STEPS * spec.batch_size)
    events = EventWriter(tmp_path / "events.jsonl")
    by_hand(spec, pictures)  # warm up
    for _ in range(ROUNDS):
        found = [a_turn(turn, spec, pictures, events) for turn in range(TURNS)]
        told = ", ".join(f"{ratio:.3f}" for ratio in found)
        print(f"\nLightning: {median(found):.3f}× a bare loop ({told})")
        if median(found) <= LIGHTNING:
            return
    pytest.fail(f"{median(found):.3f}× in the last of {ROUNDS} rounds")


def a_turn(turn: int, spec: TrainSpec, pictures: Pictures, events: EventWriter) -> float:
    """How many times as long as by hand it takes in Lightning."""
    pair = [lambda: in_lightning(spec, pictures, events), lambda: by_hand(spec, pictures)]
    order = (0, 1) if turn % 2 else (1, 0)
    taken = {which: pair[which]() for which in order}
    assert taken[0][1] == pytest.approx(taken[1][1], rel=1e-3)  # it was the same work
    return taken[0][0] / taken[1][0]


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Pictures one by one, as torchvision's data sets give them."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._transform = v2.Compose(
            [
                v2.RandomCrop(32, padding=4, padding_mode="reflect"),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        picture = self._transform(self._pictures.images[place])
        return picture, int(self._pictures.labels[place])


Batches = Iterable[tuple[Tensor, Tensor]]


def cut_as_tensors(spec: TrainSpec, pictures: Pictures) -> Batches:
    """One epoch of ours."""
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    for number in range(len(data.train_dataloader())):
        images, labels, _ = data._train_batch(0, number)
        yield images, labels


def loader_of(spec: TrainSpec, pictures: Pictures) -> DataLoader[tuple[Tensor, Tensor]]:
    """Theirs, with its two workers at hand from the second epoch on."""
    return DataLoader(
        Images(pictures),  # type: ignore[arg-type]
        spec.batch_size,
        shuffle=True,
        num_workers=2,
        drop_last=True,
        persistent_workers=True,
    )


def looked_through(batches: Batches) -> float:
    """Seconds to make all batches."""
    began = time.perf_counter()
    for _images, _labels in batches:
        pass
    return time.perf_counter() - began


def learned_from(batches: Batches) -> float:
    """Seconds of a plain training on all batches."""
    network = module_of(spec_of_cpu()).network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    began = time.perf_counter()
    for images, labels in batches:
        optimiser.zero_grad()
        pictures = images.to(memory_format=torch.channels_last)
        loss = torch.nn.functional.cross_entropy(network(pictures), labels)
        loss.backward()
        optimiser.step()
    return time.perf_counter() - began


@pytest.mark.parametrize(
    ("seconds", "batches", "least"), [(looked_through, 60, 1.0), (learned_from, 30, 1 - NOISE)]
)
def test_batches_cut_as_tensors_beat_a_data_loader_with_two_workers(
    seconds: Callable[[Batches], float], batches: int, least: float
) -> None:
    """In a training of so small a network most of the time is the network's own on either side."""
    spec = spec_of_cpu()
    pictures = some_pictures(batches * spec.batch_size)
    theirs = loader_of(spec, pictures)
    looked_through(theirs)  # starts the workers
    for _ in range(ROUNDS):
        found = []
        for turn in range(TURNS):
            pair = (cut_as_tensors(spec, pictures), theirs)
            order = (0, 1) if turn % 2 else (1, 0)
            taken = {which: seconds(pair[which]) for which in order}
            found.append(taken[1] / taken[0])
        told = ", ".join(f"{ratio:.2f}" for ratio in found)
        print(f"\n{seconds.__name__}: {median(found):.2f}× with a DataLoader, 2 workers ({told})")
        if median(found) >= least:
            return
    pytest.fail(f"{median(found):.2f}× in the last of {ROUNDS} rounds")
