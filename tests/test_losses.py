"""What an attack climbs, against formulas written out."""

import math

import pytest
import torch

from engine.losses import cross_entropy, fools, margin, objective

LOGITS = torch.tensor(
    [[2.0, -1.0, 0.5, 0.0], [0.0, 3.0, 1.0, -2.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64
)
LABELS = torch.tensor([0, 2, 3])
TARGETS = torch.tensor([1, 1, 0])


def by_hand(name: str, row: list[float], own: int) -> float:
    if name == "ce":
        return math.log(sum(math.exp(z) for z in row)) - row[own]
    return max(z for j, z in enumerate(row) if j != own) - row[own]


@pytest.mark.parametrize("name", ["ce", "margin"])
@pytest.mark.parametrize("targeted", [False, True])
def test_objective_is_the_labels_loss_or_minus_the_targets(name: str, targeted: bool) -> None:
    classes = TARGETS if targeted else LABELS
    sign = -1 if targeted else 1
    rows = zip(LOGITS.tolist(), classes.tolist(), strict=True)
    expected = [sign * by_hand(name, row, own) for row, own in rows]
    climbed = objective(name, LOGITS, LABELS, TARGETS if targeted else None)
    assert climbed.tolist() == pytest.approx(expected)


def test_one_value_an_image_with_no_mean_over_the_batch() -> None:
    for loss in (cross_entropy, margin):
        torch.testing.assert_close(loss(LOGITS, LABELS)[1:2], loss(LOGITS[1:2], LABELS[1:2]))


def test_margin_is_positive_exactly_where_another_class_wins() -> None:
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(200) % 5
    wrong = fools(logits, labels, None)
    assert torch.equal(margin(logits, labels) > 0, wrong)
    assert wrong.any()
    assert not wrong.all()


def test_margin_has_a_gradient_on_the_two_classes_alone() -> None:
    logits = LOGITS[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(margin(logits, LABELS[:1]).sum(), logits)
    assert gradient.tolist() == [[-1.0, 0.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("targets", "expected"), [(None, [False, True, True]), (TARGETS, [False, True, True])]
)
def test_fools_means_wrong_class_or_the_target(
    targets: torch.Tensor | None, expected: list[bool]
) -> None:
    assert fools(LOGITS, LABELS, targets).tolist() == expected


def test_another_wrong_class_is_no_targeted_success() -> None:
    assert fools(LOGITS[1:2], torch.tensor([0]), torch.tensor([3])).tolist() == [False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["ce", "margin"])
def test_half_precision_logits_are_judged_in_float32(name: str, dtype: torch.dtype) -> None:
    logits = LOGITS.to(dtype)
    loss = objective(name, logits, LABELS, None)
    assert loss.dtype is torch.float32
    torch.testing.assert_close(loss, objective(name, logits.float(), LABELS, None))


def test_double_precision_stays_double() -> None:
    assert objective("ce", LOGITS, LABELS, None).dtype is torch.float64
