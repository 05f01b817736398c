"""PGD against its floor: what the passes through the network cost by themselves.

PGD-10 that keeps the best point needs ten passes forward and back, and one more forward. Whatever
the routine costs beyond these is its own. Run it on a machine that is otherwise idle:

    pytest -m slow -s tests/benchmarks/test_pgd_floor.py
"""

import statistics
import time
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F

from engine.pgd import pgd
from engine.resnet import resnet18
from runs.spec import PGD

ALLOWED = 1.03
STEPS, WIDTH, CLASSES = 10, 64, 100
ROUNDS = 3
"""A disturbed round does not count against the routine; a slow routine fails in all."""


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time on a GPU; on a CPU time of this process, which other processes add little to."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Waiting threads spin, and their time would count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
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

    seconds(routine, device), seconds(floor, device)  # warm up
    for _ in range(ROUNDS):
        if (ratio := median_ratio(routine, floor, device, repeats)) <= ALLOWED:
            return
    pytest.fail(f"{ratio:.4f} in the last of {ROUNDS} rounds")


def median_ratio(
    routine: Callable[[], None], floor: Callable[[], None], device: torch.device, repeats: int
) -> float:
    """Interleaved turns, either side first by turns."""
    ratios = []
    for turn in range(repeats):
        if turn % 2:
            bare = seconds(floor, device)
            ours = seconds(routine, device)
        else:
            ours = seconds(routine, device)
            bare = seconds(floor, device)
        ratios.append(ours / bare)
    ratio = statistics.median(ratios)
    print(f"\nPGD-{STEPS}, ResNet-18, fp32, {device.type}: {ratio:.4f} of its floor")
    return ratio
