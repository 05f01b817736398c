"""A training step: its learning rate over few steps; no step waits for its device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from engine.data.datamodule import PicturesOnDevice
from engine.data.pictures import Pictures
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import resnet18
from engine.seeding import generator
from engine.training.callbacks.averaging import moving_average
from engine.training.lightning_module import Classifier
from engine.training.recipes import RECIPES, Setting
from runs.spec import TrainSpec
from tiny_training import carried_out, tiny


def test_so_few_steps_that_the_learning_rate_has_no_way_up(tmp_path: Path) -> None:
    _, result = carried_out(tmp_path, tiny(epochs=1, width=1, warmup=0.25))
    assert result["steps"] == 4


@contextmanager
def nothing_waits_on(device: torch.device) -> Iterator[None]:
    """Fails where Python asks a device for a value; tensors on ``meta`` have none to give."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


devices = pytest.mark.parametrize("name", ["meta", pytest.param("cuda", marks=pytest.mark.gpu)])
"""``meta``: tensors without values, on which an operation with one of the CPU fails as on a GPU."""


@devices
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("gamma", "craft_mode"), [(0.0, "train"), (0.005, "eval")])
def test_no_recipe_waits_for_its_device(
    recipe: str, gamma: float, craft_mode: str, name: str
) -> None:
    device = torch.device(name)
    attack = {"steps": 1, "craft_mode": craft_mode}
    spec = TrainSpec.model_validate(
        {"data": "digits", "recipe": recipe, "attack": attack, "awp_gamma": gamma}
        if recipe != "standard"
        else {"data": "digits", "mode": "baseline", "recipe": recipe, "awp_gamma": gamma}
    )
    model = resnet18(10, 2, [0.5] * 3, [0.25] * 3).to(device)
    folded = Folded(model)
    images = torch.rand(32, 3, 32, 32, device=device)
    labels = torch.arange(32, device=device) % 10

    def step() -> None:
        folded.refresh()
        attack_generator = generator(0, "attack", device="cpu" if name == "meta" else device)
        setting = Setting(spec, 10, folded.network, attack_generator)
        loss, _ = RECIPES[recipe](model, images, labels, setting)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    if device.type == "cuda":
        step()  # chooses kernels
    with nothing_waits_on(device):
        step()


@devices
@pytest.mark.parametrize("augmentation", ["basic", "cutout"])
def test_no_step_waits_for_its_device(augmentation: str, name: str) -> None:
    device = torch.device(name)
    spec = tiny(augmentation=augmentation)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.arange(64, device=device) % 10
    pictures = Pictures(images, labels, torch.arange(64, device=device))
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    module = Classifier(spec, 10, [0.5] * 3, [0.25] * 3, steps=9).to(device)
    averaging = moving_average(0.9)
    averaging.setup(cast(Any, None), module, "fit")
    data._train_batch(0, 0)  # sends the epoch's order
    with nothing_waits_on(device):
        assert data._train_batch(0, 1)[0].shape == (32, 3, 32, 32)
        for step in (1, 2, 3):
            trainer = cast(Any, SimpleNamespace(global_step=step))
            averaging.on_train_batch_end(trainer, module, None, None, step)
