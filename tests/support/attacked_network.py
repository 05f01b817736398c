"""A small network, a batch and settings on which the tests of PGD and its relatives agree."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from runs.threat_model import PGD

COUNT, CLASSES = 24, 5


class Net(nn.Module):
    """Convolution, BatchNorm, dropout, linear; notes what its forward passes saw."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8 * 4 * 4, CLASSES)
        self.sizes: list[int] = []
        self.modes: list[bool] = []
        self.trainable: list[bool] = []
        self.fails_at: int | None = None

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        self.modes.append(self.norm.training)
        self.trainable.append(any(p.requires_grad for p in self.parameters()))
        features = self.drop(torch.relu(self.norm(self.conv(images))))
        logits: Tensor = self.head(features.flatten(1))
        if self.fails_at == len(self.sizes):
            raise RuntimeError("out of memory")
        return logits


def network(dtype: torch.dtype = torch.float64) -> Net:
    """A small network in eval mode whose BatchNorm has seen something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Net()
        net.train()
        net(torch.rand(64, 3, 8, 8))
        nn.init.normal_(net.norm.weight, 1, 0.2)
        with torch.no_grad():  # no class wins everywhere
            net.head.bias.sub_(net.eval()(torch.rand(64, 3, 8, 8)).mean(dim=0))
    net.sizes, net.modes, net.trainable = [], [], []
    return net.eval().to(dtype)


def batch(dtype: torch.dtype = torch.float64, count: int = COUNT) -> tuple[Tensor, Tensor, Tensor]:
    """Images with some pixels at 0 and at 1, labels that the network mostly agrees with, and
    targets that differ from them."""
    rng = torch.Generator().manual_seed(11)
    images = (torch.rand(COUNT, 3, 8, 8, generator=rng) * 1.4 - 0.2).clamp(0, 1).to(dtype)
    with torch.no_grad():
        ranked = network(dtype)(images).argsort(dim=1, descending=True)
    labels = ranked[:, 0].clone()
    labels[::8] = ranked[::8, 1]  # wrong when clean: fooled at the start
    targets = ranked[:, 1].clone()
    targets[::8] = ranked[::8, 0]  # reached at the start
    targets[1::2] = ranked[1::2, 2]  # farther away
    return images[:count], labels[:count], targets[:count]


def rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def own_rngs(indices: Any = range(COUNT)) -> list[torch.Generator]:
    return [rng(1000 + int(index)) for index in indices]


# Budgets at which this network is fooled on some images and holds on others.
SPECS = {
    "linf": PGD(norm="linf", eps=0.03, step_size=0.008, steps=6),
    "l2": PGD(norm="l2", eps=0.25, step_size=0.07, steps=6),
    "l1": PGD(norm="l1", eps=1.5, step_size=0.4, steps=6),
}


def spec(norm: str, **changes: Any) -> PGD:
    return PGD(**{**SPECS[norm].model_dump(), **changes})


def fooled_by(net: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    with torch.no_grad():
        predicted: Tensor = net(images).argmax(dim=1)
    return predicted != labels if targets is None else predicted == targets


def lengths(delta: Tensor, norm: str) -> Tensor:
    flat = delta.flatten(1)
    order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
    length: Tensor = torch.linalg.vector_norm(flat, ord=order, dim=1)
    return length


every_norm = pytest.mark.parametrize("norm", list(SPECS))
every_loss = pytest.mark.parametrize("loss", ["ce", "margin"])
aimed = pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
every_keep = pytest.mark.parametrize("keep", ["best", "last"])
