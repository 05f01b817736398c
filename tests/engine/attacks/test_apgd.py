"""APGD: its step sizes and checkpoints by its algorithm, its strength beside its authors' code."""

import math

import pytest
import torch
from torch import Tensor, nn

from attacked_network import (
    COUNT,
    batch,
    every_norm,
    fooled_by,
    lengths,
    network,
    own_rngs,
    rng,
    spec,
)
from engine.attacks.active_set import Step
from engine.attacks.apgd import ALPHA, RHO, apgd, checkpoints
from engine.attacks.losses import objective
from engine.attacks.norms import GEOMETRIES
from engine.attacks.pgd import pgd
from runs.threat_model import PGD

aimed = pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])


def test_it_looks_back_where_the_paper_says() -> None:
    """Section 3.2: for 100 steps 0, 22, 41, 57, 70, 80, 87, 93, 99."""
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(100).values()) == [22, 19, 16, 13, 10, 7, 6, 6]
    for steps in range(1, 60):
        at = list(checkpoints(steps))
        assert at == sorted(set(at))
        assert all(0 < w <= steps for w in at)


def one_image_by_hand(
    net: nn.Module, image: Tensor, label: Tensor, target: Tensor | None, setting: PGD
) -> list[Tensor]:
    """Algorithm 1 for a single image, of L∞ or L2: every point it looks at."""
    geometry = GEOMETRIES[setting.norm]

    def f(point: Tensor) -> tuple[float, Tensor]:
        point = point.clone().requires_grad_()
        loss = objective(setting.loss, net(point), label, target).sum()
        (gradient,) = torch.autograd.grad(loss, point)
        return float(loss.detach()), gradient

    def project(point: Tensor) -> Tensor:
        return geometry.project(point, image, setting.eps)

    eta = 2 * setting.eps
    losses = [f(image)[0]]
    points = [image]
    before = image
    here = image
    loss_here, gradient_here = f(image)
    best, best_loss, best_gradient = image, loss_here, gradient_here
    last_best, halved_last, rises = loss_here, True, 0
    looks_back = checkpoints(setting.steps)
    for k in range(setting.steps):
        z = project(here + eta * geometry.direction(gradient_here))
        alpha = ALPHA if k else 1.0
        ahead = project(here + alpha * (z - here) + (1 - alpha) * (here - before))
        before, here = here, ahead
        points.append(here)
        loss, gradient_here = f(here)
        losses.append(loss)
        rises += loss > loss_here
        loss_here = loss
        if loss > best_loss:
            best, best_loss, best_gradient = here, loss, gradient_here
        if k + 1 in looks_back:
            condition_1 = rises < RHO * looks_back[k + 1]
            condition_2 = not halved_last and best_loss <= last_best
            halved_last = condition_1 or condition_2
            if halved_last:
                eta /= 2
                here, loss_here, gradient_here = best, best_loss, best_gradient
            last_best, rises = best_loss, 0
    return points


@pytest.mark.parametrize("norm", ["linf", "l2"])
@aimed
@pytest.mark.parametrize("loss", ["ce", "margin", "dlr"])
def test_it_takes_the_steps_of_algorithm_1(norm: str, targeted: bool, loss: str) -> None:
    net, (images, labels, targets) = network(), batch(count=8)
    setting = spec(norm, loss=loss, steps=40, random_start=False, active_set=False)
    seen: list[Step] = []
    apgd(
        net, images, labels, setting,
        targets=targets if targeted else None, on_step=seen.append,
    )  # fmt: skip
    assert len(seen) == 41
    for n in range(len(images)):
        target = targets[n : n + 1] if targeted else None
        expected = one_image_by_hand(net, images[n : n + 1], labels[n : n + 1], target, setting)
        for step, point in zip(seen, expected, strict=True):
            torch.testing.assert_close(step.images[n : n + 1], point, rtol=0, atol=1e-8)


@every_norm
@aimed
@pytest.mark.parametrize("active_set", [False, True])
def test_it_stays_in_the_ball_and_leaves_the_model_as_found(
    norm: str, targeted: bool, active_set: bool
) -> None:
    net, (images, labels, targets) = network(), batch()
    net.train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    setting = spec(norm, restarts=2, active_set=active_set)
    ours = apgd(
        net, images, labels, setting, targets=targets if targeted else None, generator=rng()
    )
    assert ours.shape == images.shape
    assert ours.dtype == images.dtype
    assert (lengths(ours - images, norm) <= setting.eps + 1e-9).all()
    assert 0 <= float(ours.min()) <= float(ours.max()) <= 1
    assert net.training
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


@every_norm
@aimed
def test_the_active_set_changes_nothing(norm: str, targeted: bool) -> None:
    net, (images, labels, targets) = network(), batch()
    aims = targets if targeted else None
    both = [
        apgd(
            net, images, labels, spec(norm, active_set=on, restarts=2, steps=20),
            targets=aims, generator=own_rngs(),
        )
        for on in (True, False)
    ]  # fmt: skip
    assert torch.equal(fooled_by(net, both[0], labels, aims), fooled_by(net, both[1], labels, aims))
    torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-9)


@every_norm
def test_it_returns_the_first_that_fools_or_the_highest_loss(norm: str) -> None:
    net, (images, labels, _) = network(), batch()
    seen: list[Step] = []
    ours = apgd(net, images, labels, spec(norm, steps=15), generator=rng(), on_step=seen.append)
    for n in range(COUNT):
        mine = [
            (float(step.loss[at]), bool(step.fooled[at]), step.images[at])
            for step in seen
            for at in (step.indices == n).nonzero().flatten().tolist()
        ]
        fooling = [point for _, fooled, point in mine if fooled]
        expected = fooling[0] if fooling else max(mine, key=lambda one: one[0])[2]
        assert torch.equal(ours[n], expected)


def test_it_climbs_higher_than_pgd_with_a_poor_step_size() -> None:
    """What it is for: no step size to choose."""
    net, (images, labels, _) = network(), batch()
    poor = spec("linf", steps=30, step_size=1e-4, active_set=False, random_start=False)

    def broken(points: Tensor) -> int:
        return int(fooled_by(net, points, labels, None).sum())

    assert broken(apgd(net, images, labels, poor)) > broken(pgd(net, images, labels, poor))


def test_nothing_to_attack_and_what_does_not_fit() -> None:
    net, (images, labels, targets) = network(), batch()
    assert apgd(net, images[:0], labels[:0], spec("linf"), generator=rng()).shape[0] == 0
    with pytest.raises(ValueError, match="needs a generator"):
        apgd(net, images, labels, spec("linf"))
    with pytest.raises(ValueError, match="same length"):
        apgd(net, images, labels, spec("linf"), targets=targets[:3], generator=rng())


@every_norm
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_it_is_as_strong_as_its_authors_code(norm: str, loss: str) -> None:
    base = pytest.importorskip(
        "pyautoattack.autopgd_base", reason="not installed: pip install 'advtui[autoattack]'"
    )
    net, (images, labels, _) = network(torch.float32), batch(torch.float32)
    right = ~fooled_by(net, images, labels, None)
    images, labels = images[right], labels[right]
    eps = 0.6 * spec(norm).eps
    theirs = base.APGDAttack(
        net, n_iter=50, norm=norm.replace("l", "L"), eps=eps, loss=loss, device="cpu"
    ).perturb(images, labels)
    setting = spec(norm, eps=eps, steps=50, loss=loss)
    ours = apgd(net, images, labels, setting, generator=rng())
    broken = [int(fooled_by(net, points, labels, None).sum()) for points in (ours, theirs)]
    assert 0 < broken[0] < len(labels)
    assert abs(broken[0] - broken[1]) <= 1
    assert math.isfinite(float(ours.sum()))
