"""On real CIFAR-100 our attacks find a model as robust as other libraries' do.

``ADVTUI_CHECKPOINTS`` names the home of a finished study whose best robust model is attacked;
without it a narrow one is trained in two minutes.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.data.pictures import Pictures
from engine.models.checkpoint import load_model
from engine.models.resnet import PictureClassifier
from libraries import MODULES, PREPARERS, needs
from models import at_hand, made
from parity import STAGES, by_authors, by_library, ours
from parity import first_images as first_test_images
from runs.spec import TrainSpec
from runs.threat_model import PGD

pytestmark = [pytest.mark.slow, pytest.mark.cifar100]

POINTS, BF16_POINTS = 0.3, 0.2
PGD20 = "pgd-untargeted"
COUNT, FEW = 1000, 100
"""AutoAttack takes minutes for FEW images; parity.py compares it on all."""


@pytest.fixture(scope="module")
def checkpoint(cifar100: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = TrainSpec(
        width=8,
        epochs=4,
        train_limit=10_000,
        val_per_class=2,
        ema_decay=0.9,
        augment=False,
        attack=PGD(steps=2, step_size=6 / 255),
        precision="fp32",
        data_dir=str(cifar100),
    )
    return at_hand("robust") or made(spec, tmp_path_factory.mktemp("robust"))


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> PictureClassifier:
    # Frozen: some libraries ask for the weights' gradients too, which nobody needs, and at batches
    # of few images PyTorch's CPU kernel for these damaged the heap (torch 2.15.0, two threads).
    return load_model(checkpoint, classes=100)[0].requires_grad_(False)


@pytest.fixture(scope="module")
def pictures(cifar100: Path) -> Pictures:
    return first_test_images(cifar100, COUNT)


@pytest.fixture(scope="module")
def mine(checkpoint: Path, cifar100: Path) -> Callable[[str], Tensor]:
    """Which images withstand our attack of a name; each attack is done once."""

    @cache
    def withstood(attack: str) -> Tensor:
        return ours(checkpoint, cifar100, COUNT, [attack], torch.device("cpu"))[attack]

    return withstood


def assert_within_points(mine: Tensor, theirs: Tensor) -> None:
    one, other = (100 * float(robust.float().mean()) for robust in (mine, theirs))
    print(f"\nrobust accuracy {one:.1f} % by ours, {other:.1f} % by theirs")
    assert one > POINTS
    assert abs(one - other) <= POINTS + 1e-6


@pytest.mark.parametrize("library", list(PREPARERS))
def test_pgd_agrees(
    library: str, mine: Callable[[str], Tensor], model: PictureClassifier, pictures: Pictures
) -> None:
    needs(MODULES[library])
    assert_within_points(mine(PGD20), by_library(library, model, pictures))


@pytest.mark.parametrize("attack", ["apgd-ce", "apgd-dlr", "apgd-targeted"])
def test_apgd_agrees_with_its_authors(
    attack: str, mine: Callable[[str], Tensor], model: PictureClassifier, pictures: Pictures
) -> None:
    needs("pyautoattack", "autoattack")
    theirs = by_authors(STAGES[attack], model, pictures, PGD().eps)
    assert_within_points(mine(attack), theirs)


def test_bf16_finds_what_fp32_finds(
    checkpoint: Path, cifar100: Path, mine: Callable[[str], Tensor]
) -> None:
    found = ours(checkpoint, cifar100, COUNT, [PGD20], torch.device("cpu"), "bf16")[PGD20]
    one, other = (100 * float(robust.float().mean()) for robust in (mine(PGD20), found))
    print(f"\nrobust accuracy {one:.1f} % in fp32, {other:.1f} % in bf16")
    assert abs(one - other) <= BF16_POINTS + 1e-6


def test_autoattack_through_us_is_autoattack(
    checkpoint: Path, cifar100: Path, model: PictureClassifier
) -> None:
    needs("pyautoattack", "autoattack")
    few = first_test_images(cifar100, FEW)
    mine = ours(checkpoint, cifar100, FEW, ["autoattack"], torch.device("cpu"))["autoattack"]
    assert torch.equal(mine, by_authors(STAGES["autoattack"], model, few, PGD().eps))
