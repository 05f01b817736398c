"""PGD: the active set, restarts and seeds change the work and the draws as promised."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacked_network import (
    COUNT,
    SPECS,
    aimed,
    batch,
    every_keep,
    every_loss,
    every_norm,
    fooled_by,
    network,
    own_rngs,
    rng,
    spec,
)
from engine.attacks.active_set import Step
from engine.attacks.pgd import pgd

# --- the active set --------------------------------------------------------------------------


@every_norm
@every_loss
@aimed
@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("own", [False, True], ids=["one generator", "one each"])
def test_the_active_set_changes_the_work_and_not_the_result(
    norm: str, loss: str, targeted: bool, restarts: int, own: bool
) -> None:
    images, labels, aims = batch()
    targets = aims if targeted else None
    found, looked = [], []
    for active in (True, False):
        net = network()
        setting = spec(norm, loss=loss, restarts=restarts, active_set=active)
        noise = own_rngs() if own else rng()
        found.append(pgd(net, images, labels, setting, targets=targets, generator=noise))
        looked.append(sum(net.sizes))
    fooled = [fooled_by(network(), points, labels, targets) for points in found]
    assert torch.equal(fooled[0], fooled[1])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-9)
    assert looked[1] == 7 * restarts * COUNT
    assert looked[0] < looked[1]


@aimed
def test_an_image_leaves_the_batch_when_it_is_fooled_and_does_not_come_back(targeted: bool) -> None:
    images, labels, aims = batch()
    targets = aims if targeted else None
    seen: list[Step] = []
    setting = spec("linf", restarts=3)
    pgd(network(), images, labels, setting, targets=targets, generator=rng(), on_step=seen.append)
    left: set[int] = set()
    for step in seen:
        assert len(step.images) == len(step.indices) == len(step.loss) == len(step.fooled)
        assert step.indices.tolist() == [i for i in range(COUNT) if i not in left]
        left |= set(step.indices[step.fooled].tolist())
    assert 0 < len(left) < COUNT


def test_the_routine_ends_when_all_images_are_fooled() -> None:
    images, labels, _ = batch()
    net = network()
    setting = spec("linf", eps=0.3, step_size=0.1, restarts=5)
    found = pgd(net, images, labels, setting, generator=rng())
    assert fooled_by(network(), found, labels, None).all()
    assert len(net.sizes) <= 7
    assert 0 not in net.sizes


def test_a_start_that_fools_costs_one_look() -> None:
    images, _, _ = batch()
    net = network()
    with torch.no_grad():
        labels = net(images).argmin(dim=1)
    net.sizes.clear()
    found = pgd(net, images, labels, spec("linf", random_start=False))
    assert torch.equal(found, images)
    assert net.sizes == [COUNT]


# --- restarts and seeds ----------------------------------------------------------------------


@every_norm
@every_loss
@aimed
@pytest.mark.parametrize("own", [False, True], ids=["one generator", "one each"])
def test_restarts_are_never_worse(norm: str, loss: str, targeted: bool, own: bool) -> None:
    net, (images, labels, aims) = network(), batch()
    targets = aims if targeted else None
    eps = SPECS[norm].eps
    fooled, climbed, points = [], [], []
    for restarts in (1, 2, 6):
        setting = spec(norm, loss=loss, restarts=restarts, steps=1, step_size=0.3 * eps)
        noise = own_rngs() if own else rng()
        found = pgd(net, images, labels, setting, targets=targets, generator=noise)
        points.append(found)
        fooled.append(fooled_by(net, found, labels, targets))
        with torch.no_grad():
            logits = net(found)
        if loss == "ce":
            own_class = labels if targets is None else targets
            value = nn.functional.cross_entropy(logits, own_class, reduction="none")
            climbed.append(value if targets is None else -value)
    for fewer, more in ((0, 1), (1, 2)):
        assert (fooled[more] | ~fooled[fewer]).all()
        if climbed:
            still = ~fooled[more]
            # Losses are compared in float32, so equal up to its rounding.
            assert (climbed[more] >= climbed[fewer] - 1e-6)[still].all()
    assert not torch.equal(points[0], points[2])  # a restart is another start


@every_norm
@every_keep
def test_the_same_seed_gives_the_same_points_and_another_seed_others(norm: str, keep: Any) -> None:
    images, labels, _ = batch()

    def attack(seed: int) -> Tensor:
        setting = spec(norm, restarts=2)
        return pgd(network(), images, labels, setting, generator=rng(seed), keep=keep)

    assert torch.equal(attack(3), attack(3))
    assert not torch.equal(attack(3), attack(4))


@every_norm
@aimed
def test_with_a_generator_each_an_image_does_not_depend_on_its_batch(
    norm: str, targeted: bool
) -> None:
    images, labels, aims = batch()

    def attack(chosen: list[int]) -> Tensor:
        return pgd(
            network(),
            images[chosen],
            labels[chosen],
            spec(norm, restarts=3),
            targets=aims[chosen] if targeted else None,
            generator=own_rngs(chosen),
        )

    whole = attack(list(range(COUNT)))
    for part in ([5], [20, 3, 8, 1], list(range(7, 19))):
        torch.testing.assert_close(attack(part), whole[part], rtol=0, atol=1e-9)
