"""What an attack climbs, against formulas written out."""

import math

import pytest
import torch

from engine.attacks.losses import cross_entropy, dlr, dlr_targeted, fools, margin, objective

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


# DLR


def dlr_by_hand(row: list[float], label: int) -> float:
    ordered = sorted(row, reverse=True)
    return -(row[label] - max(z for j, z in enumerate(row) if j != label)) / (
        ordered[0] - ordered[2]
    )


def dlr_targeted_by_hand(row: list[float], label: int, target: int) -> float:
    ordered = sorted(row, reverse=True)
    return -(row[label] - row[target]) / (ordered[0] - (ordered[2] + ordered[3]) / 2)


def test_dlr_is_equations_6_and_7_of_its_paper() -> None:
    rng = torch.Generator().manual_seed(5)
    logits = torch.randn(40, 7, generator=rng, dtype=torch.float64)
    labels = torch.randint(7, (40,), generator=rng)
    targets = (labels + 1 + torch.randint(6, (40,), generator=rng)) % 7
    rows = logits.tolist()
    untargeted = [dlr_by_hand(*pair) for pair in zip(rows, labels.tolist(), strict=True)]
    aimed = [
        dlr_targeted_by_hand(*three)
        for three in zip(rows, labels.tolist(), targets.tolist(), strict=True)
    ]
    assert objective("dlr", logits, labels, None).tolist() == pytest.approx(untargeted)
    assert objective("dlr", logits, labels, targets).tolist() == pytest.approx(aimed)
    # Whatever scales and shifts the logits, the loss stays: what makes it hard to hide from.
    torch.testing.assert_close(dlr(1e4 * logits - 7, labels), dlr(logits, labels))
    torch.testing.assert_close(
        dlr_targeted(1e4 * logits - 7, labels, targets), dlr_targeted(logits, labels, targets)
    )


def test_dlr_of_equal_logits_is_a_number() -> None:
    level = torch.zeros(2, 5)
    assert dlr(level, torch.tensor([0, 1])).isfinite().all()
    assert dlr_targeted(level, torch.tensor([0, 1]), torch.tensor([1, 2])).isfinite().all()


def test_dlr_with_too_few_classes_is_refused() -> None:
    two, three = torch.zeros(1, 2), torch.zeros(1, 3)
    label, target = torch.tensor([0]), torch.tensor([1])
    with pytest.raises(ValueError, match="at least 3 classes, the model has 2"):
        dlr(two, label)
    with pytest.raises(ValueError, match="at least 4 classes, the model has 3"):
        dlr_targeted(three, label, target)


def test_dlr_agrees_with_its_authors_code() -> None:
    base = pytest.importorskip(
        "pyautoattack.autopgd_base", reason="not installed: pip install 'advtui[autoattack]'"
    )
    rng = torch.Generator().manual_seed(6)
    logits = torch.randn(50, 9, generator=rng)
    labels = torch.randint(9, (50,), generator=rng)
    attack = base.APGDAttack(None, eps=0.1, device="cpu")
    torch.testing.assert_close(dlr(logits, labels), attack.dlr_loss(logits, labels))
    aimed = base.APGDAttack_targeted(None, eps=0.1, device="cpu")
    aimed.y_target = targets = (labels + 3) % 9
    torch.testing.assert_close(
        dlr_targeted(logits, labels, targets), aimed.dlr_loss_targeted(logits, labels)
    )
