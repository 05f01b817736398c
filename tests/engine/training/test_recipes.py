"""Each recipe against its formula, written out on a tiny network in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.attacks.pgd import pgd
from engine.training import recipes
from engine.training.recipes import RECIPES
from recipe_network import (
    CLASSES,
    Noting,
    assert_same_descent,
    attacked_by_hand,
    cross_entropy,
    data,
    setting,
)
from runs.threat_model import PGD


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_standard_is_cross_entropy_on_clean_images(smoothing: float) -> None:
    net, (images, labels) = Noting(0), data()
    told = setting(net, mode="baseline", recipe="standard", label_smoothing=smoothing)
    loss, logits = RECIPES["standard"](net, images, labels, told)
    assert len(net.given) == 1
    assert torch.equal(net.given[0], images)
    twin = Noting(0)
    assert_same_descent(net, loss, twin, cross_entropy(twin(images), labels, smoothing))
    torch.testing.assert_close(logits, Noting(0)(images))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_pgd_at_is_cross_entropy_on_the_last_untargeted_points(smoothing: float) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="pgd-at", label_smoothing=smoothing)
    loss, logits = RECIPES["pgd-at"](net, images, labels, told)

    noise = torch.Generator().manual_seed(9)
    adversarial = attacked_by_hand(Noting(1).eval(), images, labels, noise, +1)
    assert len(net.given) == 1  # the attack looks at the attacked network alone
    torch.testing.assert_close(net.given[0], adversarial, rtol=0, atol=1e-9)
    twin = Noting(0)
    expected_logits = twin(adversarial)
    torch.testing.assert_close(logits, expected_logits)
    assert_same_descent(net, loss, twin, cross_entropy(expected_logits, labels, smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_is_cross_entropy_on_clean_targeted_and_untargeted_thirds(smoothing: float) -> None:
    net, attacked, (images, labels) = Noting(0), Noting(1).eval(), data()
    told = setting(attacked, recipe="mixed", label_smoothing=smoothing)
    loss, _ = RECIPES["mixed"](net, images, labels, told)

    noise, twin = torch.Generator().manual_seed(9), Noting(1).eval()
    offset = torch.randint(1, CLASSES, (4,), generator=noise)
    targets = (labels[4:8] + offset) % CLASSES
    parts = [
        images[:4],
        attacked_by_hand(twin, images[4:8], targets, noise, -1),
        attacked_by_hand(twin, images[8:], labels[8:], noise, +1),
    ]
    assert len(net.given) == 1
    torch.testing.assert_close(net.given[0], torch.cat(parts), rtol=0, atol=1e-9)
    twin = Noting(0)
    assert_same_descent(net, loss, twin, cross_entropy(twin(torch.cat(parts)), labels, smoothing))


@pytest.fixture
def attacks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The attacks that a recipe asks for."""
    asked: list[dict[str, Any]] = []

    def spy(model: nn.Module, images: Tensor, labels: Tensor, spec: PGD, **more: Any) -> Tensor:
        asked.append({"images": images, "labels": labels, **more})
        return pgd(model, images, labels, spec, **more)

    monkeypatch.setattr(recipes, "pgd", spy)
    return asked


@pytest.mark.parametrize(
    ("count", "clean", "targeted", "sizes"),
    [
        (12, 1 / 3, 1 / 3, (4, 4, 4)),
        (10, 1 / 3, 1 / 3, (3, 3, 4)),
        (10, 0.5, 0.2, (5, 2, 3)),
        (10, 0.0, 0.0, (0, 0, 10)),
        (10, 0.0, 1.0, (0, 10, 0)),
        (10, 1.0, 0.0, (10, 0, 0)),
        (11, 0.5, 0.5, (6, 5, 0)),
    ],
)
def test_mixed_cuts_the_batch_into_its_shares(
    attacks: list[dict[str, Any]],
    count: int,
    clean: float,
    targeted: float,
    sizes: tuple[int, int, int],
) -> None:
    net, (images, labels) = Noting(0), data(count)
    told = setting(Noting(1), recipe="mixed", mixed_clean=clean, mixed_targeted=targeted)
    _, logits = RECIPES["mixed"](net, images, labels, told)
    assert len(logits) == count
    towards, away = attacks
    kept = int((net.given[0] == images).flatten(1).all(1).sum())
    assert (kept, len(towards["images"]), len(away["images"])) == sizes
    assert torch.equal(torch.cat([towards["labels"], away["labels"]]), labels[sizes[0] :])
    assert away["targets"] is None
    assert towards["keep"] == away["keep"] == "last"


def test_mixed_targets_are_uniform_over_the_wrong_classes(attacks: list[dict[str, Any]]) -> None:
    images = torch.zeros(2000, 3, 8, 8, dtype=torch.float64)
    labels = torch.arange(2000) % CLASSES
    told = setting(Noting(1), recipe="mixed", mixed_clean=0.0, mixed_targeted=1.0)
    RECIPES["mixed"](Noting(0), images, labels, told)
    targets = attacks[0]["targets"]
    assert targets.dtype == torch.int64
    assert not (targets == labels).any()
    counts = torch.bincount(labels * CLASSES + targets, minlength=CLASSES**2)
    wrong = counts.view(CLASSES, CLASSES)[~torch.eye(CLASSES, dtype=torch.bool)]
    assert wrong.min() > 60  # 100 each are expected, with a deviation of 9
    assert wrong.max() < 140


@pytest.mark.parametrize("recipe", ["pgd-at", "mixed"])
def test_the_same_noise_gives_the_same_loss(recipe: str) -> None:
    images, labels = data()
    losses = [
        RECIPES[recipe](Noting(0), images, labels, setting(Noting(1), seed, recipe=recipe))[
            0
        ].item()
        for seed in (9, 9, 10)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("recipe", ["standard", "pgd-at", "mixed"])
def test_the_loss_reaches_every_parameter_in_training_mode_and_not_the_attacked_network(
    recipe: str,
) -> None:
    net, attacked, (images, labels) = Noting(0).train(), Noting(1), data()
    mode = "baseline" if recipe == "standard" else "robust"
    norm = net.layers[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.num_batches_tracked is not None
    before = norm.running_mean.clone()
    loss, _ = RECIPES[recipe](net, images, labels, setting(attacked, mode=mode, recipe=recipe))
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.layers[4].parameters())
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad is None for p in attacked.parameters())
    assert int(norm.num_batches_tracked) == 1  # one pass in training mode
    assert not torch.equal(norm.running_mean, before)


def test_attacking_the_network_in_training_leaves_its_statistics_to_the_loss_alone() -> None:
    net, (images, labels) = Noting(0).train(), data()
    RECIPES["pgd-at"](net, images, labels, setting(net, recipe="pgd-at"))
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    adversarial = net.given[-1]
    twin = Noting(0).train()
    twin(adversarial)
    torch.testing.assert_close(net.layers[1].running_mean, twin.layers[1].running_mean)
