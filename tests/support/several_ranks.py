"""A few steps of each recipe in float64, in one process or shared by several."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.models.batchnorm_folding import Folded
from engine.models.resnet import resnet18
from engine.models.sync_batchnorm import synchronise
from engine.process.ranks import Place
from engine.seeding import generator
from engine.training.recipes import RECIPES, Setting
from engine.world import ALONE, World, joined
from runs.spec import TrainSpec

STEPS, IMAGES = 3, 12


def trained(fields: dict[str, Any], world: World = ALONE) -> dict[str, Tensor]:
    """Parameters and buffers of a small network after :data:`STEPS` steps on random images."""
    torch.manual_seed(0)
    spec = TrainSpec.model_validate({"data": "digits", **fields})
    network = resnet18(10, 2, [0.5] * 3, [0.25] * 3).double().train()
    if world.size > 1:
        synchronise(network, torch.device("cpu"))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    folded = Folded(network)
    for step in range(STEPS):
        rng = generator(step)
        images = torch.rand(IMAGES, 3, 32, 32, dtype=torch.float64, generator=rng)
        labels = torch.randint(10, (IMAGES,), generator=rng)
        folded.refresh()
        attacked = network if spec.attack.craft_mode == "train" else folded.network
        setting = Setting(spec, 10, attacked, generator(0, "attack", step), world=world)
        optimiser.zero_grad()
        recipe = RECIPES[spec.recipe]
        loss, _ = recipe(network, world.share(images), world.share(labels), setting)
        loss.backward()  # type: ignore[no-untyped-call]
        world.average(parameter.grad for parameter in network.parameters())
        optimiser.step()
    return network.state_dict()


def rank(number: int, size: int, port: int, cases: Sequence[dict[str, Any]], out: Path) -> None:
    """Do a rank's part of all cases; rank 0 saves what comes of them."""
    addresses = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), **addresses}
    torch.set_num_threads(1)
    with joined(Place(number, size, number, size), torch.device("cpu")) as world:
        found = [trained(fields, world) for fields in cases]
        if number == 0:
            torch.save(found, out)
