"""The PGD routine: its iterates against a reference, the budget, the kept point, the refusals."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacked_network import (
    CLASSES,
    COUNT,
    SPECS,
    aimed,
    batch,
    every_keep,
    every_loss,
    every_norm,
    fooled_by,
    lengths,
    network,
    rng,
    spec,
)
from engine.attacks.active_set import Step
from engine.attacks.pgd import pgd
from runs.threat_model import PGD

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


@pytest.mark.parametrize("norm", ["linf", "l2"])
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
