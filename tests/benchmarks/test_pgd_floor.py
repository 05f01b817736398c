"""PGD against its floor: what the passes through the network cost by themselves.

PGD-10 that keeps the best point needs ten passes forward and back, and one more forward. Whatever
the routine costs beyond these is its own. Run it on a machine that is otherwise idle:

    pytest -m slow -s tests/benchmarks/test_pgd_floor.py
"""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from engine.attacks.pgd import pgd
from engine.models.resnet import resnet18
from runs.threat_model import PGD
from timing import one_thread, ratios

ALLOWED = 1.03
STEPS, WIDTH, CLASSES = 10, 64, 100
ROUNDS = 3
"""A disturbed round does not count against the routine; a slow routine fails in all."""


@pytest.fixture
def quiet() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_pgd_costs_little_more_than_its_passes() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count, repeats = (256, 15) if device.type == "cuda" else (8, 15)
    torch.manual_seed(0)
    model = resnet18(CLASSES, WIDTH, [0.5] * 3, [0.25] * 3).to(device).eval()
    # The routine freezes the parameters, so the floor has them frozen too: with gradients for the
    # weights it would be higher, and the ratio flattering.
    model.requires_grad_(False)
    images = torch.rand(count, 3, 32, 32, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (count,), device=device)
    # No active set: every image passes through every step.
    spec = PGD(steps=STEPS, active_set=False)
    noise = torch.Generator(device).manual_seed(0)

    def routine() -> None:
        pgd(model, images, labels, spec, generator=noise, keep="best")

    def floor() -> None:
        for _ in range(STEPS):
            points = images.detach().requires_grad_()
            loss = F.cross_entropy(model(points), labels, reduction="sum")
            torch.autograd.grad(loss, points)
        with torch.no_grad():
            model(images)

    for _ in range(ROUNDS):
        ratio = 1 / ratios(routine, {"floor": floor}, device, repeats)["floor"]
        print(f"\nPGD-{STEPS}, ResNet-18, fp32, {device.type}: {ratio:.4f} of its floor")
        if ratio <= ALLOWED:
            return
    pytest.fail(f"{ratio:.4f} in the last of {ROUNDS} rounds")
