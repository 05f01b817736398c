"""The PGD routine: against a reference written out, and promise by promise."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from engine.pgd import Step, pgd
from runs.spec import PGD

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
            net.head.bias -= net.eval()(torch.rand(64, 3, 8, 8)).mean(dim=0)
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
}


def spec(norm: str, **changes: Any) -> PGD:
    return PGD(**{**SPECS[norm].model_dump(), **changes})


def fooled_by(net: nn.Module, images: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    with torch.no_grad():
        predicted = net(images).argmax(dim=1)
    return predicted != labels if targets is None else predicted == targets


def lengths(delta: Tensor, norm: str) -> Tensor:
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.square().sum(1).sqrt()


every_norm = pytest.mark.parametrize("norm", ["linf", "l2"])
every_loss = pytest.mark.parametrize("loss", ["ce", "margin"])
aimed = pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
every_keep = pytest.mark.parametrize("keep", ["best", "last"])


# --- against a reference ---------------------------------------------------------------------


def reference(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    setting: PGD,
    start: Tensor,
) -> tuple[list[Tensor], list[list[float]]]:
    """All iterates and losses, image by image, straight from the paper's equation."""
    trails, climbs = [], []
    for i in range(len(images)):
        x, y = images[i], int(labels[i])
        point, trail, climb = start[i], [], []
        for _ in range(setting.steps + 1):
            point = point.detach().clone().requires_grad_()
            z = net(point[None])[0]
            aim = y if targets is None else int(targets[i])
            if setting.loss == "ce":
                value = torch.log(torch.exp(z).sum()) - z[aim]
            else:
                value = max(z[j] for j in range(CLASSES) if j != aim) - z[aim]
            if targets is not None:
                value = -value
            trail.append(point.detach())
            climb.append(value.item())
            (g,) = torch.autograd.grad(value, point)
            point = point.detach()
            if setting.norm == "linf":
                point = point + setting.step_size * torch.sign(g)
                point = torch.minimum(torch.maximum(point, x - setting.eps), x + setting.eps)
            else:
                point = point + setting.step_size * g / torch.sqrt((g * g).sum())
                length = float(torch.sqrt(((point - x) ** 2).sum()))
                if length > setting.eps:
                    point = x + (point - x) * setting.eps / length
            point = torch.clamp(point, 0, 1)
        trails.append(torch.stack(trail))
        climbs.append(climb)
    return list(torch.stack(trails).transpose(0, 1)), [list(c) for c in zip(*climbs, strict=True)]


@every_norm
@every_loss
@aimed
@pytest.mark.parametrize("random_start", [False, True])
def test_every_iterate_agrees_with_a_plain_loop(
    norm: str, loss: str, targeted: bool, random_start: bool
) -> None:
    net, (images, labels, aims) = network(), batch(count=8)
    targets = aims if targeted else None
    setting = spec(norm, loss=loss, active_set=False, random_start=random_start)
    seen: list[Step] = []
    pgd(net, images, labels, setting, targets=targets, generator=rng(), on_step=seen.append)
    # With a random start the first point is the routine's own; test_norms.py judges its draw.
    start = seen[0].images if random_start else images
    points, losses = reference(net, images, labels, targets, setting, start)
    assert len(seen) == setting.steps + 1
    for step, point, climbed in zip(seen, points, losses, strict=True):
        torch.testing.assert_close(step.images, point, rtol=0, atol=1e-9)
        torch.testing.assert_close(
            step.loss, torch.tensor(climbed, dtype=torch.float64), rtol=0, atol=1e-8
        )


def test_linf_random_start_is_uniform_noise_from_the_generator() -> None:
    images, labels, _ = batch()
    seen: list[Step] = []
    pgd(network(), images, labels, spec("linf"), generator=rng(), on_step=seen.append)
    noise = 2 * torch.rand(images.shape, generator=rng(), dtype=images.dtype) - 1
    torch.testing.assert_close(seen[0].images, (images + 0.03 * noise).clamp(0, 1))


# --- budget and range ------------------------------------------------------------------------


@every_norm
@aimed
@every_keep
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("step_share", [0.2, 3.0])
def test_every_point_keeps_the_budget_and_the_range(
    norm: str, targeted: bool, keep: Any, random_start: bool, step_share: float
) -> None:
    images, labels, aims = batch(torch.float32)
    eps = SPECS[norm].eps
    setting = spec(
        norm, step_size=step_share * eps, random_start=random_start, restarts=1 + random_start
    )
    far = []

    def look(step: Step) -> None:
        assert step.images.min() >= 0
        assert step.images.max() <= 1
        far.append(float(lengths(step.images - images[step.indices], norm).max()))

    found = pgd(
        network(torch.float32),
        images,
        labels,
        setting,
        targets=aims if targeted else None,
        generator=rng(),
        keep=keep,
        on_step=look,
    )
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    assert found.min() >= 0
    assert found.max() <= 1
    assert float(lengths(found - images, norm).max()) <= eps + 1e-6
    assert 0.5 * eps < max(far) <= eps + 1e-6  # the budget is used, and kept


@every_norm
def test_a_budget_of_zero_returns_the_images(norm: str) -> None:
    images, labels, _ = batch()
    found = pgd(network(), images, labels, spec(norm, eps=0), generator=rng(), keep="last")
    torch.testing.assert_close(found, images, rtol=0, atol=1e-12)


# --- which point is kept ---------------------------------------------------------------------


@every_norm
@every_loss
@aimed
@pytest.mark.parametrize("restarts", [1, 3])
def test_best_is_the_first_point_that_fools_else_the_one_of_highest_loss(
    norm: str, loss: str, targeted: bool, restarts: int
) -> None:
    net, (images, labels, aims) = network(torch.float32), batch(torch.float32)
    # A step too long for the ball: the last point is often not the highest.
    eps = SPECS[norm].eps
    setting = spec(norm, loss=loss, restarts=restarts, active_set=False, step_size=1.3 * eps)
    targets = aims if targeted else None
    seen: list[Step] = []
    best = pgd(net, images, labels, setting, targets=targets, generator=rng(), on_step=seen.append)

    assert [(s.restart, s.step) for s in seen] == [
        (r, t) for r in range(restarts) for t in range(7)
    ]
    chosen = []
    for i in range(COUNT):
        fooling = [n for n, s in enumerate(seen) if bool(s.fooled[i])]
        losses = [float(s.loss[i]) for s in seen]
        chosen.append(fooling[0] if fooling else losses.index(max(losses)))
    expected = torch.stack([seen[n].images[i] for i, n in enumerate(chosen)])
    assert torch.equal(best, expected)

    fooled = torch.stack([s.fooled for s in seen]).any(0)
    assert torch.equal(fooled_by(net, best, labels, targets), fooled)
    # The case is worth something only if all kinds of image occur in it.
    assert 0 < int(fooled.sum()) < COUNT
    assert any(n > 0 for n, f in zip(chosen, fooled, strict=True) if f)
    assert any(n % 7 != 6 for n, f in zip(chosen, fooled, strict=True) if not f)


@every_norm
@aimed
def test_a_point_that_fools_is_kept_although_a_later_one_has_a_higher_loss(
    norm: str, targeted: bool
) -> None:
    net, (images, labels, aims) = network(), batch()
    targets = aims if targeted else None
    setting = spec(norm, active_set=False)
    seen: list[Step] = []
    best = pgd(net, images, labels, setting, targets=targets, generator=rng(), on_step=seen.append)
    at_start = seen[0].fooled
    later = torch.stack([s.loss for s in seen]).amax(0) > seen[0].loss
    waiting = at_start & later
    if not targeted:
        assert waiting.any()
    assert torch.equal(best[waiting], seen[0].images[waiting])


class Scripted(nn.Module):
    """Answers as the script says, look by look; the input moves a class by next to nothing."""

    def __init__(self, script: list[list[float]]) -> None:
        super().__init__()
        self.script = iter(script)

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.tensor(next(self.script), dtype=images.dtype).repeat(len(images), 1)
        return logits + images.flatten(1).sum(1, keepdim=True) * torch.tensor([1e-7, 0, 0])


CALM = [0.02, 0.0, 0.0]  # class 0 by a hair: cross-entropy about log 3
SURE = [5.0, 0.0, 0.0]
LEFT = [0.0, 0.1, -9.0]  # class 1, and yet a lower cross-entropy of class 0 than at CALM
FAR = [0.0, 9.0, 0.0]


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(
    ("script", "label", "target", "kept"),
    [
        ([SURE, CALM, SURE, SURE], 0, None, 1),
        ([CALM, LEFT, CALM, FAR], 0, None, 1),  # fooled counts for more than the loss
        ([SURE, CALM, LEFT, FAR], 0, None, 2),  # and the first time for more than the best
        ([LEFT, FAR, SURE, SURE], 0, None, 0),
        ([SURE, CALM, SURE, SURE], 2, 1, 1),
        ([SURE, CALM, LEFT, FAR], 2, 1, 2),
        ([SURE, SURE, SURE, FAR], 2, 1, 3),  # the last point is looked at, too
    ],
)
def test_of_scripted_points_the_right_one_is_kept(
    script: list[list[float]], label: int, target: int | None, kept: int, active: bool
) -> None:
    images = torch.full((1, 3, 2, 2), 0.5)
    points: list[Tensor] = []
    best = pgd(
        Scripted(script),
        images,
        torch.tensor([label]),
        PGD(eps=0.4, step_size=0.1, steps=3, random_start=False, active_set=active),
        targets=None if target is None else torch.tensor([target]),
        on_step=lambda step: points.append(step.images),
    )
    # The input's own influence is a steady pull, so every point is another 0.1 away.
    assert float((best - images).abs().max()) == pytest.approx(0.1 * kept, abs=1e-6)
    assert torch.equal(best, points[kept])


@every_norm
@aimed
def test_last_is_one_step_beyond_the_last_point_looked_at(norm: str, targeted: bool) -> None:
    images, labels, aims = batch()
    targets = aims if targeted else None
    setting = spec(norm, restarts=2)
    seen: list[Step] = []
    full: list[Step] = []
    last = pgd(
        network(), images, labels, setting, targets=targets, generator=rng(), keep="last",
        on_step=seen.append,
    )  # fmt: skip
    pgd(
        network(), images, labels, setting.model_copy(update={"active_set": False}),
        targets=targets, generator=rng(), on_step=full.append,
    )  # fmt: skip
    assert [(s.restart, s.step) for s in seen] == [(r, t) for r in range(2) for t in range(6)]
    torch.testing.assert_close(last, full[-1].images, rtol=0, atol=1e-12)
    assert not torch.equal(last, full[-2].images)


def test_keep_last_looks_no_more_often_than_it_steps_and_at_whole_batches() -> None:
    images, labels, _ = batch()
    net = network()
    pgd(net, images, labels, spec("linf", restarts=2), generator=rng(), keep="last")
    assert net.sizes == [COUNT] * 12


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


# --- what is refused -------------------------------------------------------------------------


@every_keep
def test_a_random_start_without_a_generator_is_refused(keep: Any) -> None:
    images, labels, _ = batch()
    net = network()
    with pytest.raises(ValueError, match="generator"):
        pgd(net, images, labels, spec("linf"), keep=keep)
    assert net.sizes == []


def test_without_a_random_start_no_generator_is_needed_and_none_is_drawn_from() -> None:
    images, labels, _ = batch()
    setting = spec("linf", random_start=False)
    noise = rng()
    before = noise.get_state()
    with_one = pgd(network(), images, labels, setting, generator=noise)
    assert torch.equal(noise.get_state(), before)
    assert torch.equal(with_one, pgd(network(), images, labels, setting))


@pytest.mark.parametrize(("labels", "targets"), [(3, None), (4, 3), (5, 4)])
def test_lengths_that_do_not_fit_are_refused(labels: int, targets: int | None) -> None:
    aims = None if targets is None else torch.zeros(targets, dtype=torch.long)
    with pytest.raises(ValueError, match="same length"):
        pgd(
            network(),
            batch(count=4)[0],
            torch.zeros(labels, dtype=torch.long),
            spec("linf"),
            targets=aims,
            generator=rng(),
        )


@every_keep
@aimed
@pytest.mark.parametrize("own", [False, True])
def test_an_empty_batch_comes_back_empty(keep: Any, targeted: bool, own: bool) -> None:
    images, labels, aims = (part[:0] for part in batch())
    net = network()
    found = pgd(
        net,
        images,
        labels,
        spec("linf"),
        targets=aims if targeted else None,
        generator=[] if own else rng(),
        keep=keep,
    )
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    assert net.sizes == []


# --- the model as found ----------------------------------------------------------------------


def all_train(net: Net) -> None:
    net.train()


def all_eval(net: Net) -> None:
    net.eval()


def mixed_modes(net: Net) -> None:
    net.train()
    net.norm.eval()


def eval_but_dropout(net: Net) -> None:
    net.eval()
    net.drop.train()


def some_frozen(net: Net) -> None:
    net.train()
    net.conv.requires_grad_(False)
    net.head.bias.requires_grad_(False)


def with_gradients(net: Net) -> None:
    net.train()
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    net.head.weight.grad = None


SHAPES = [all_train, all_eval, mixed_modes, eval_but_dropout, some_frozen, with_gradients]


def snapshot(net: nn.Module) -> dict[str, Any]:
    """Everything about a network, and the global random states."""
    return {
        "modes": {name: module.training for name, module in net.named_modules()},
        "trainable": {name: p.requires_grad for name, p in net.named_parameters()},
        "gradients": {
            name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()
        },
        "objects": {name: id(p) for name, p in [*net.named_parameters(), *net.named_buffers()]},
        "state": {name: value.clone() for name, value in net.state_dict().items()},
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),
        "python": random.getstate(),
    }


def assert_as_found(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for name in ("modes", "trainable", "objects", "python"):
        assert before[name] == after[name], name
    assert np.array_equal(before["numpy"], after["numpy"])
    assert torch.equal(before["torch"], after["torch"])
    for name in ("gradients", "state"):
        for key, value in before[name].items():
            other = after[name][key]
            assert (value is None) == (other is None), key
            assert value is None or torch.equal(value, other), key


@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_model_is_left_as_found(
    craft_mode: str, shape: Callable[[Net], None], keep: Any
) -> None:
    net, (images, labels, _) = network(), batch()
    shape(net)
    before = snapshot(net)
    setting = spec("linf", craft_mode=craft_mode, restarts=2)
    pgd(net, images, labels, setting, generator=rng(), keep=keep)
    assert_as_found(before, snapshot(net))
    assert set(net.modes) == {craft_mode == "train"}  # and it was attacked in that mode
    assert not any(net.trainable)


@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("fails_at", [1, 4, 7])
def test_the_model_is_left_as_found_when_it_fails_in_the_middle(
    craft_mode: str, shape: Callable[[Net], None], fails_at: int
) -> None:
    net, (images, labels, _) = network(), batch()
    shape(net)
    net.fails_at = fails_at
    before = snapshot(net)
    with pytest.raises(RuntimeError, match="out of memory"):
        pgd(net, images, labels, spec("linf", craft_mode=craft_mode), generator=rng())
    assert len(net.sizes) == fails_at
    assert_as_found(before, snapshot(net))


def test_the_model_is_left_as_found_when_the_observer_stops_the_attack() -> None:
    net, (images, labels, _) = network(), batch()
    net.train()
    before = snapshot(net)

    def stop(step: Step) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pgd(net, images, labels, spec("l2", craft_mode="train"), generator=rng(), on_step=stop)
    assert_as_found(before, snapshot(net))


def test_arguments_are_left_alone_and_the_result_is_no_view_of_them() -> None:
    images, labels, aims = batch()
    before = images.clone(), labels.clone(), aims.clone()
    needing = images.requires_grad_()
    found = pgd(network(), needing, labels, spec("linf"), targets=aims, generator=rng())
    assert not found.requires_grad
    assert needing.grad is None
    found.zero_()
    for now, then in zip((needing, labels, aims), before, strict=True):
        assert torch.equal(now, then)


def test_training_mode_attacks_whole_batches_with_batch_statistics() -> None:
    images, labels, _ = batch()
    net = network()
    setting = spec("linf", craft_mode="train")
    in_train = pgd(net, images, labels, setting, generator=rng(), keep="last")
    assert net.sizes == [COUNT] * 6
    net.sizes.clear()
    pgd(net, images, labels, setting, generator=rng())
    assert net.sizes == [COUNT] * 7  # no active set, whatever the spec says
    in_eval = pgd(network(), images, labels, spec("linf"), generator=rng(), keep="last")
    assert not torch.equal(in_train, in_eval)


def test_gradients_are_taken_with_respect_to_the_input_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels, _ = batch()
    net = network().train()
    touched: list[str] = []
    for name, parameter in net.named_parameters():
        parameter.register_hook(lambda _, name=name: touched.append(name))
    asked: list[int] = []
    take = torch.autograd.grad

    def watch(outputs: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        asked.append(1 if isinstance(inputs, Tensor) else len(inputs))
        return take(outputs, inputs, *rest, **more)

    monkeypatch.setattr(torch.autograd, "grad", watch)
    pgd(net, images, labels, spec("linf"), generator=rng(), keep="last")
    assert asked == [1] * 6
    assert touched == []
    assert not any(net.trainable)
    assert all(p.grad is None for p in net.parameters())


# --- where it is called from -----------------------------------------------------------------


@contextmanager
def inside_a_graph() -> Iterator[None]:
    weight = torch.ones(3, requires_grad=True)
    loss = weight.square().sum()
    yield
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [2, 2, 2]


@every_keep
@aimed
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize(
    "context",
    [torch.no_grad, torch.inference_mode, inside_a_graph],
    ids=["no_grad", "inference_mode", "inside a graph"],
)
def test_the_caller_may_be_in_any_gradient_mode(
    keep: Any,
    targeted: bool,
    random_start: bool,
    craft_mode: str,
    context: Callable[[], AbstractContextManager[None]],
) -> None:
    results = []
    for around in (nullcontext, context):
        images, labels, aims = batch()
        net = network().train()
        setting = spec("linf", craft_mode=craft_mode, random_start=random_start)
        torch.manual_seed(7)  # for dropout in train mode
        with around():
            # Tensors born in inference mode are special: autograd may not save them.
            born = images.clone(), labels.clone(), aims.clone()
            modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            found = pgd(
                net,
                born[0],
                born[1],
                setting,
                targets=born[2] if targeted else None,
                generator=rng(),
                keep=keep,
            )
            assert modes == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        results.append(found.clone())
        assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(*results)


class Attacking(pl.LightningModule):
    """A module that attacks in its validation step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()
        self.found: list[Tensor] = []
        self.before: list[dict[str, Any]] = []

    def training_step(self, part: list[Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        return nn.functional.cross_entropy(self.net(part[0]), part[1])

    def validation_step(self, part: list[Tensor], batch_idx: int) -> None:  # noqa: ARG002
        before = snapshot(self.net)
        self.found.append(
            pgd(self.net, part[0], part[1], spec("linf"), generator=own_rngs(part[2].tolist()))
        )
        assert_as_found(before, snapshot(self.net))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("inference_mode", [False, True])
@pytest.mark.parametrize("through", ["validate", "fit"])
@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*logging interval.*")
def test_it_works_in_a_lightning_validation_step(
    tmp_path: Any, inference_mode: bool, through: str
) -> None:
    images, labels, _ = batch()
    data = torch.utils.data.TensorDataset(images, labels, torch.arange(COUNT))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    module = Attacking()
    if through == "fit":
        module.train()
        module.net.norm.momentum = 0.0  # the training epoch leaves the statistics alone
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        inference_mode=inference_mode,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    if through == "validate":
        trainer.validate(module, loader, verbose=False)
    else:
        trainer.fit(module, loader, loader)
    expected = pgd(network(), images, labels, spec("linf"), generator=own_rngs())
    torch.testing.assert_close(torch.cat(module.found), expected, rtol=0, atol=1e-9)
