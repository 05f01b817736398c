"""PGD's family: momentum, the cosine schedule, FGSM, a given start; each against its formula."""

import itertools
import math
from typing import Any

import pytest
import torch

from attacked_network import batch, every_norm, fooled_by, lengths, network, rng, spec
from engine.attacks.active_set import ActiveBatch, Step
from engine.attacks.losses import margin, objective
from engine.attacks.norms import GEOMETRIES
from engine.attacks.pgd import pgd, step_size_at
from runs.threat_model import PGD


def gradient_at(net: torch.nn.Module, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    points = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective("ce", net(points), labels, None).sum(), points)
    return gradient


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("momentum", [0.9, 1.0])
def test_momentum_accumulates_gradients_of_length_one_in_l1(norm: str, momentum: float) -> None:
    """Dong et al. (2018), equations (6) and (7)."""
    net, (images, labels, _) = network(), batch()
    setting = spec(norm, momentum=momentum, random_start=False)
    points, velocity = images, torch.zeros_like(images)
    for _ in range(setting.steps):
        gradient = gradient_at(net, points, labels)
        size = gradient.abs().sum(dim=(1, 2, 3), keepdim=True)
        velocity = momentum * velocity + gradient / size
        step = velocity.sign()
        if norm == "l2":
            step = velocity / velocity.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
        points = GEOMETRIES[norm].project(points + setting.step_size * step, images, setting.eps)
    ours = pgd(net, images, labels, setting, keep="last")
    torch.testing.assert_close(ours, points, rtol=0, atol=1e-12)
    assert not torch.equal(
        ours, pgd(net, images, labels, spec(norm, random_start=False), keep="last")
    )


def test_momentum_agrees_with_torchattacks() -> None:
    torchattacks = pytest.importorskip(
        "torchattacks", reason="not installed: pip install 'advtui[parity]'"
    )
    net, (images, labels, _) = network(), batch()
    attack = torchattacks.MIFGSM(net, eps=8 / 255, alpha=1 / 255, steps=8, decay=1.0)
    setting = PGD(eps=8 / 255, step_size=1 / 255, steps=8, momentum=1.0, random_start=False)
    torch.testing.assert_close(
        pgd(net, images, labels, setting, keep="last"), attack(images, labels), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("keep", ["best", "last"])
def test_an_objective_of_ones_own_takes_the_place_of_the_named_loss(keep: Any) -> None:
    net, (images, labels, _) = network(), batch()
    setting = spec("linf", random_start=False)

    def own(logits: torch.Tensor, batch: ActiveBatch) -> torch.Tensor:
        return margin(logits, labels[batch.indices])

    named = pgd(net, images, labels, setting.model_copy(update={"loss": "margin"}), keep=keep)
    assert torch.equal(pgd(net, images, labels, setting, keep=keep, objective=own), named)
    assert not torch.equal(pgd(net, images, labels, setting, keep=keep), named)


@every_norm
@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_the_active_set_changes_nothing_with_momentum(norm: str, momentum: float) -> None:
    net, (images, labels, targets) = network(), batch()
    both = [
        pgd(
            net, images, labels, spec(norm, momentum=momentum, active_set=on, restarts=2),
            targets=targets, generator=rng(),
        )
        for on in (True, False)
    ]  # fmt: skip
    assert torch.equal(
        fooled_by(net, both[0], labels, targets), fooled_by(net, both[1], labels, targets)
    )
    torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-9)


def test_a_gradient_that_is_no_number_does_not_poison_the_momentum() -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.looks = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.looks += 1
            flat = images.flatten(1)[:, :4]
            return flat.sqrt() if self.looks == 1 else flat * 3  # √0 has no gradient

    images = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    setting = PGD(eps=0.1, step_size=0.05, steps=3, momentum=1.0, random_start=False)
    ours = pgd(Broken(), images, torch.tensor([0]), setting, keep="last")
    assert ours.isfinite().all()
    assert not torch.equal(ours, images)


def test_the_cosine_step_falls_from_its_length_to_nearly_nothing() -> None:
    setting = PGD(steps=10, step_size=0.02, step_schedule="cosine")
    sizes = [step_size_at(setting, t) for t in range(10)]
    assert sizes == pytest.approx([0.01 * (1 + math.cos(math.pi * t / 10)) for t in range(10)])
    assert sizes[0] == 0.02
    assert sizes == sorted(sizes, reverse=True)
    assert [step_size_at(PGD(steps=3, step_size=0.02), t) for t in range(3)] == [0.02] * 3


def test_the_routine_takes_the_cosine_steps() -> None:
    net, (images, labels, _) = network(), batch()
    setting = spec("linf", step_schedule="cosine", random_start=False, eps=1.0, steps=4)
    seen: list[torch.Tensor] = []
    pgd(net, images, labels, setting, keep="last", on_step=lambda step: seen.append(step.images))
    for t, (before, after) in enumerate(itertools.pairwise(seen)):
        moved = float((after - before).abs().max())
        assert moved == pytest.approx(step_size_at(setting, t), rel=1e-6)


def test_one_step_of_length_eps_from_the_image_is_fgsm() -> None:
    """Goodfellow et al. (2015), section 4: x + ε · sign(∇ₓ J)."""
    net, (images, labels, _) = network(), batch()
    eps = 0.03
    setting = PGD(eps=eps, step_size=eps, steps=1, random_start=False)
    expected = (images + eps * gradient_at(net, images, labels).sign()).clamp(0, 1)
    ours = pgd(net, images, labels, setting, keep="last")
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@every_norm
def test_a_given_start_is_where_the_first_restart_begins(norm: str) -> None:
    net, (images, labels, _) = network(), batch()
    small, large = spec(norm), spec(norm, eps=1.1 * spec(norm).eps, restarts=2)
    below = pgd(net, images, labels, small, generator=rng())
    seen: list[Step] = []
    ours = pgd(net, images, labels, large, generator=rng(), start=below, on_step=seen.append)
    assert torch.equal(seen[0].images, below)  # it lies within the larger ball as it is
    assert (fooled_by(net, below, labels, None) <= fooled_by(net, ours, labels, None)).all()
    assert (lengths(ours - images, norm) <= large.eps + 1e-9).all()
    second = next(step for step in seen if step.restart == 1)
    assert not torch.equal(second.images, below[second.indices])


@every_norm
def test_a_start_outside_the_ball_is_brought_into_it(norm: str) -> None:
    net, (images, labels, _) = network(), batch()
    far = (images + 0.5).clamp(0, 1)
    seen: list[Step] = []
    pgd(net, images, labels, spec(norm), generator=rng(), start=far, on_step=seen.append)
    assert (lengths(seen[0].images - images, norm) <= spec(norm).eps + 1e-9).all()
