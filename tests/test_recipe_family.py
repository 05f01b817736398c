"""The younger recipes against their papers' formulas, written out on a tiny network in float64."""

from collections.abc import Callable

import pytest
import torch
from test_recipes import Noting, cross_entropy, data, setting
from torch import Tensor, nn

from engine.recipes import RECIPES

BETAS = [(None, 6.0), (0.0, 0.0), (2.5, 2.5)]


def log_softmax(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(1, keepdim=True).log()


def kl(clean: Tensor, adversarial: Tensor) -> Tensor:
    """Σ_k p_k log(p_k / q_k), one value an image."""
    log_p, log_q = log_softmax(clean), log_softmax(adversarial)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def climbed(
    loss: Callable[[Tensor], Tensor], images: Tensor, start: Tensor, steps: int = 3
) -> Tensor:
    """L∞ PGD by hand, ε = 0.05 and α = 0.02, from ``start``."""
    points = (images + (start - images).clamp(-0.05, 0.05)).clamp(0, 1)
    for _ in range(steps):
        points = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(points).sum(), points)
        points = points.detach() + 0.02 * gradient.sign()
        points = (images + (points - images).clamp(-0.05, 0.05)).clamp(0, 1)
    return points


@pytest.mark.parametrize(("beta", "weight"), BETAS)
def test_trades_is_cross_entropy_plus_beta_times_the_divergence(
    beta: float | None, weight: float
) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="trades", beta=beta)
    loss, logits = RECIPES["trades"](net, images, labels, told)

    twin = Noting(1).eval()
    clean = twin(images).detach()
    noise = torch.Generator().manual_seed(9)
    start = images + 0.001 * torch.randn(images.shape, generator=noise, dtype=images.dtype)
    adversarial = climbed(lambda points: kl(clean, twin(points)), images, start)
    assert len(net.given) == 2
    assert torch.equal(net.given[0], images)
    torch.testing.assert_close(net.given[1], adversarial, rtol=0, atol=1e-9)
    natural, robust = Noting(0)(images), Noting(0)(adversarial)
    expected = cross_entropy(natural, labels) + weight * kl(natural, robust).mean()
    assert loss.dtype is torch.float64
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits, natural)


@pytest.mark.parametrize("recipe", ["trades"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_attack_leaves_the_network_in_training_as_it_was(recipe: str, mode: str) -> None:
    net, (images, labels) = Noting(0).train(), data()
    told = setting(net, recipe=recipe, attack={"steps": 1, "craft_mode": mode})
    loss, _ = RECIPES[recipe](net, images, labels, told)
    assert all(module.training for module in net.modules())
    assert _batches_seen(net) == 2  # the clean and the adversarial one
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


def _batches_seen(net: nn.Module) -> int:
    return int(next(value for name, value in net.named_buffers() if "tracked" in name))
