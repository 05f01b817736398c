"""A tiny network that notes its inputs, and the formulas that all recipes share, by hand."""

from typing import Any

import torch
from torch import Tensor, nn

from engine.training.recipes import Setting
from runs.spec import TrainSpec
from runs.threat_model import PGD

CLASSES, COUNT = 5, 12
ATTACK = PGD(eps=0.05, step_size=0.02, steps=3)


class Noting(nn.Module):
    """A tiny network that notes what it is given."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 8, 3, stride=2),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(8 * 9, CLASSES),
            ).double()
        self.given: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.given.append(images.detach())
        logits: Tensor = self.layers(images)
        return logits


def data(count: int = COUNT) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(2)
    images = torch.rand(count, 3, 8, 8, generator=rng, dtype=torch.float64)
    return images, torch.randint(CLASSES, (count,), generator=rng)


def setting(attacked: nn.Module, seed: int = 9, **fields: Any) -> Setting:
    spec = TrainSpec(**{"data": "digits", "attack": ATTACK, **fields})
    return Setting(spec, CLASSES, attacked, torch.Generator().manual_seed(seed))


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """−Σ_k q_k log p_k, q the smoothed label, averaged over the images."""
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    q = torch.full_like(log_p, smoothing / CLASSES)
    q[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(q * log_p).sum(1).mean()


def attacked_by_hand(
    net: nn.Module, images: Tensor, classes: Tensor, noise: torch.Generator, sign: int
) -> Tensor:
    """L∞ PGD as the paper has it: a random start, then three steps, the last one returned."""
    uniform = 2 * torch.rand(images.shape, generator=noise, dtype=images.dtype) - 1
    points = (images + 0.05 * uniform).clamp(0, 1)
    for _ in range(3):
        points = points.detach().requires_grad_()
        loss = sign * cross_entropy(net(points), classes)
        (gradient,) = torch.autograd.grad(loss, points)
        points = points.detach() + 0.02 * gradient.sign()
        points = (images + (points - images).clamp(-0.05, 0.05)).clamp(0, 1)
    return points


def assert_same_descent(net: nn.Module, loss: Tensor, twin: nn.Module, expected: Tensor) -> None:
    """The same value, and the same gradient of every parameter, in float64."""
    assert loss.dtype is torch.float64
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected)
    pairs = zip(
        torch.autograd.grad(loss, list(net.parameters())),
        torch.autograd.grad(expected, list(twin.parameters())),
        strict=True,
    )
    for mine, theirs in pairs:
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-12)
