"""From the same start, other libraries' PGD arrives at the same images."""

import pytest
import torch
from torch import Tensor, nn

from engine.attacks.pgd import pgd
from runs.threat_model import PGD

COUNT, CLASSES = 16, 6
MISSING = "not installed: pip install 'advtui[parity]'"
SETTINGS = [
    PGD(random_start=False, eps=8 / 255, step_size=2 / 255, steps=7),
    PGD(random_start=False, eps=0.05, step_size=0.04, steps=5),
]

every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=["short steps", "long steps"])
aimed = pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])


def case() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A small network, images with some pixels at 0 and 1, labels, and targets beside them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 16, CLASSES),
        ).double()
        net(torch.rand(64, 3, 8, 8, dtype=torch.float64))
        images = (torch.rand(COUNT, 3, 8, 8, dtype=torch.float64) * 1.4 - 0.2).clamp(0, 1)
        labels = torch.randint(CLASSES, (COUNT,))
    return net.eval(), images, labels, (labels + 2) % CLASSES


def assert_same_image_by_image(ours: Tensor, theirs: Tensor, images: Tensor, eps: float) -> None:
    for mine, other, image in zip(ours, theirs, images, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-9)
        assert float((mine - image).abs().max()) == pytest.approx(eps)


@every_setting
@aimed
def test_linf_agrees_with_torchattacks(setting: PGD, targeted: bool) -> None:
    torchattacks = pytest.importorskip("torchattacks", reason=f"torchattacks is {MISSING}")
    net, images, labels, targets = case()
    attack = torchattacks.PGD(
        net, eps=setting.eps, alpha=setting.step_size, steps=setting.steps, random_start=False
    )
    if targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    theirs = attack(images, targets if targeted else labels)
    ours = pgd(net, images, labels, setting, targets=targets if targeted else None, keep="last")
    assert_same_image_by_image(ours, theirs, images, setting.eps)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@every_setting
@aimed
def test_agrees_with_foolbox(norm: str, setting: PGD, targeted: bool) -> None:
    foolbox = pytest.importorskip("foolbox", reason=f"foolbox is {MISSING}")
    net, images, labels, targets = case()
    scale = {"linf": 1, "l2": 8}[norm]
    eps, step_size = scale * setting.eps, scale * setting.step_size
    setting = setting.model_copy(update={"norm": norm, "eps": eps, "step_size": step_size})
    source = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    attack = source(abs_stepsize=step_size, steps=setting.steps, random_start=False)
    criterion = foolbox.criteria.TargetedMisclassification(targets) if targeted else labels
    raw, _, success = attack(
        foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu"), images, criterion, epsilons=eps
    )
    ours = pgd(net, images, labels, setting, targets=targets if targeted else None, keep="last")
    for mine, other in zip(ours, raw, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-9)
    with torch.no_grad():
        predicted = net(ours).argmax(dim=1)
    assert torch.equal(predicted == targets if targeted else predicted != labels, success)
    assert not torch.equal(ours, images)
