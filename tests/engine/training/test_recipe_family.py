"""The younger recipes against their papers' formulas, written out on a tiny network in float64."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from engine.training.callbacks.overfitting_watch import OverfittingWatch
from engine.training.losses import boosted_cross_entropy
from engine.training.recipes import RECIPES, Setting, strength
from recipe_network import (
    CLASSES,
    Noting,
    assert_same_descent,
    attacked_by_hand,
    cross_entropy,
    data,
    setting,
)
from runs.events import EventReader, EventWriter

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
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_trades_is_cross_entropy_plus_beta_times_the_divergence(
    beta: float | None, weight: float, smoothing: float
) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="trades", beta=beta, label_smoothing=smoothing)
    loss, logits = RECIPES["trades"](net, images, labels, told)

    twin = Noting(1).eval()
    clean = twin(images).detach()
    noise = torch.Generator().manual_seed(9)
    start = images + 0.001 * torch.randn(images.shape, generator=noise, dtype=images.dtype)
    adversarial = climbed(lambda points: kl(clean, twin(points)), images, start)
    assert len(net.given) == 2
    assert torch.equal(net.given[0], images)
    torch.testing.assert_close(net.given[1], adversarial, rtol=0, atol=1e-9)
    descending = Noting(0)
    natural, robust = descending(images), descending(adversarial)
    expected = cross_entropy(natural, labels, smoothing) + weight * kl(natural, robust).mean()
    assert_same_descent(net, loss, descending, expected)
    torch.testing.assert_close(logits, natural)


@pytest.mark.parametrize(("beta", "weight"), [(None, 5.0), *BETAS[1:]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mart_is_boosted_cross_entropy_plus_lambda_times_the_weighted_divergence(
    beta: float | None, weight: float, smoothing: float
) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="mart", beta=beta, label_smoothing=smoothing)
    loss, logits = RECIPES["mart"](net, images, labels, told)

    noise = torch.Generator().manual_seed(9)
    adversarial = attacked_by_hand(Noting(1).eval(), images, labels, noise, +1)
    descending = Noting(0)
    natural, robust = descending(images), descending(adversarial)
    p, q = natural.softmax(1), robust.softmax(1)
    terms = []
    for i, label in enumerate(labels.tolist()):
        wrong = max(q[i, k] for k in range(CLASSES) if k != label)
        right = (1 - smoothing) * q[i, label].log() + smoothing * q[i].log().mean()
        divergence = (p[i] * (p[i] / q[i]).log()).sum()
        terms.append(-right - (1 - wrong).log() + weight * divergence * (1 - p[i, label]))
    assert_same_descent(net, loss, descending, torch.stack(terms).mean())
    torch.testing.assert_close(logits, robust)


def test_the_boosted_cross_entropy_of_a_confident_mistake_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0], [200.0, 0.0, 0.0]], requires_grad=True)
    loss = boosted_cross_entropy(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(loss, torch.tensor([400 - math.log(2), 0.0]))
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_labels_of_the_boosted_cross_entropy_can_be_smoothed(smoothing: float) -> None:
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    p = logits.softmax(1)
    own = -((1 - smoothing) * p.log()[range(5), labels] + smoothing * p.log().mean(1))
    wrong = p.scatter(1, labels[:, None], 0).amax(1)
    expected = own - (1 - wrong).log()
    torch.testing.assert_close(boosted_cross_entropy(logits, labels, smoothing), expected)


@pytest.mark.parametrize(("reach", "smoothing"), [(2.0, 0.0), (1.0, 0.1), (0.0, 0.0)])
def test_fast_is_cross_entropy_one_step_from_the_noised_image_without_projection(
    reach: float, smoothing: float
) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="fast", fast_noise=reach, label_smoothing=smoothing)
    loss, _ = RECIPES["fast"](net, images, labels, told)

    noise, twin = torch.Generator().manual_seed(9), Noting(1).eval()
    uniform = 2 * torch.rand(images.shape, generator=noise, dtype=images.dtype) - 1
    points = (images + reach * 0.05 * uniform).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(twin(points), labels), points)
    adversarial = (points.detach() + 0.05 * gradient.sign()).clamp(0, 1)
    torch.testing.assert_close(net.given[0], adversarial, rtol=0, atol=1e-9)
    assert len(net.given) == 1
    assert len(attacked.given) == 1
    largest = float((net.given[0] - images).abs().max())
    assert largest == pytest.approx((1 + reach) * 0.05, rel=0.02)
    descending = Noting(0)
    expected = cross_entropy(descending(adversarial), labels, smoothing)
    assert_same_descent(net, loss, descending, expected)


def test_fast_in_l2_takes_one_step_of_length_eps_from_a_point_of_the_ball() -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    images = 0.5 + 0.1 * images  # far from black and white: nothing is clipped
    told = setting(attacked, recipe="fast", fast_noise=2.0, attack={"norm": "l2", "eps": 0.05})
    RECIPES["fast"](net, images, labels, told)

    (points,), twin = attacked.given, Noting(1).eval()
    away = (points.detach() - images).flatten(1).norm(dim=1)
    assert 0.08 < float(away.min()) <= float(away.max()) <= 0.1 + 1e-9
    at = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(twin(at), labels), at)
    unit = gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(net.given[0], at.detach() + 0.05 * unit, rtol=0, atol=1e-9)


@pytest.mark.parametrize("recipe", ["trades", "mart"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_attack_leaves_the_network_in_training_as_it_was(recipe: str, mode: str) -> None:
    net, (images, labels) = Noting(0).train(), data()
    told = setting(net, recipe=recipe, attack={"steps": 1, "craft_mode": mode})
    loss, _ = RECIPES[recipe](net, images, labels, told)
    assert all(module.training for module in net.modules())
    assert _batches_seen(net) == 2  # the clean and the adversarial one
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())


AWP = tuple(RECIPES)


@pytest.mark.parametrize("recipe", AWP)
def test_awp_is_the_recipe_at_the_weights_that_one_step_makes_worst(recipe: str) -> None:
    """‖v_l‖ = γ·‖w_l‖ along the gradient, on a copy whose weights are truly moved."""
    net, (images, labels) = Noting(0).train(), data()
    before = copy.deepcopy(net.state_dict())

    def told(gamma: float) -> Setting:
        mode = "baseline" if recipe == "standard" else "robust"
        return setting(Noting(1).eval(), mode=mode, recipe=recipe, awp_gamma=gamma)

    loss, logits = RECIPES[recipe](net, images, labels, told(0.1))
    loss.backward()

    climbing, moved = Noting(0).train(), Noting(0).train()
    RECIPES[recipe](climbing, images, labels, told(0))[0].backward()
    with torch.no_grad():
        for there, here in zip(moved.parameters(), climbing.parameters(), strict=True):
            if here.ndim > 1:
                assert here.grad is not None
                there.add_(0.1 * here.norm() * here.grad / here.grad.norm())
    expected, expected_logits = RECIPES[recipe](moved, images, labels, told(0))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits, expected_logits)
    for here, there in zip(net.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(here.grad, there.grad)
    for name, value in net.state_dict().items():
        is_statistic = "running" in name or "tracked" in name
        wanted = moved.state_dict()[name] if is_statistic else before[name]
        torch.testing.assert_close(value, wanted, rtol=0, atol=1e-12 if is_statistic else 0)
    unperturbed, _ = RECIPES[recipe](Noting(0).train(), images, labels, told(0))
    assert loss.item() > unperturbed.item()


@pytest.mark.parametrize(
    ("step", "warmup", "expected"),
    [(0, 0.0, 1), (0, 0.2, 0), (5, 0.2, 0.25), (19, 0.2, 0.95), (20, 0.2, 1), (99, 1, 0.99)],
)
def test_the_budget_rises_linearly_from_nothing(step: int, warmup: float, expected: float) -> None:
    assert strength(step, 100, warmup) == pytest.approx(expected)


@pytest.mark.parametrize(("recipe", "reach"), [("pgd-at", 1), ("trades", 1), ("fast", 3)])
def test_a_part_of_the_budget_is_a_part_of_epsilon_and_step(recipe: str, reach: int) -> None:
    net, (images, labels) = Noting(0), data()
    told = replace(setting(Noting(1).eval(), recipe=recipe), strength=0.25)
    assert (told.attack.eps, told.attack.step_size) == (0.05 / 4, 0.02 / 4)
    RECIPES[recipe](net, images, labels, told)
    largest = float((net.given[-1] - images).abs().max())
    assert largest == pytest.approx(reach * 0.05 / 4, rel=0.02)


def test_catastrophic_overfitting_is_told_once_also_after_a_resume(tmp_path: Path) -> None:
    """PGD accuracy below half of its best, FGSM's as high as there: the sanity panel's rule."""
    events = EventWriter(tmp_path / "events.jsonl")
    watch = OverfittingWatch(events)
    course = [(0.1, 0.15), (0.3, 0.35), (0.1, 0.3), (0.02, 0.7), (0.01, 0.9), (0.01, 0.95)]
    for epoch, (pgd, fgsm) in enumerate(course):
        trainer = SimpleNamespace(
            current_epoch=epoch,
            callback_metrics={"val_robust_accuracy": pgd, "val_fgsm_accuracy": fgsm},
        )
        watch.on_train_epoch_end(cast(Any, trainer), cast(Any, None))
        told: list[Any] = [*EventReader(tmp_path / "events.jsonl").new()]
        assert len(told) == int(epoch >= 3)
        state, watch = watch.state_dict(), OverfittingWatch(events)
        watch.load_state_dict(state)
    assert (told[0]["kind"], told[0]["level"]) == ("log", "warning")
    assert "epoch 4: robust accuracy under PGD fell from 30.0% to 2.0%" in told[0]["message"]


def _batches_seen(net: nn.Module) -> int:
    return int(next(value for name, value in net.named_buffers() if "tracked" in name))
