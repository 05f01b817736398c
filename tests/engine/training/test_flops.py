"""What a training costs, counted beside PyTorch's own counter at work."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from engine.models.batchnorm_folding import Folded
from engine.models.resnet import resnet18
from engine.seeding import generator
from engine.training.flops import costs
from engine.training.recipes import RECIPES, Setting
from runs.passes import passes
from runs.spec import TrainSpec
from runs.threat_model import PGD

IMAGES = 6


class Counter(TorchDispatchMode):
    """Adds up what PyTorch says its operators cost (FlopCounterMode breaks on autograd.grad)."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            cost = flop_registry[func._overloadpacket]
            self.total += cost(*args, **(kwargs or {}), out_val=found)
        return found


def test_a_full_resnet18_costs_what_the_papers_say() -> None:
    cost = costs(resnet18(100, 64, [0.5] * 3, [0.5] * 3))
    assert cost.forward / 2e9 == pytest.approx(0.5555, abs=1e-3)  # GMAC
    assert cost.attack / 2e9 == pytest.approx(1.111, abs=2e-3)
    assert cost.descent / 2e9 == pytest.approx(1.666, abs=2e-3)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "baseline", "recipe": "standard"},
        {"recipe": "pgd-at"},
        {"recipe": "pgd-at", "awp_gamma": 0.005},
        {"recipe": "mixed"},
        {"recipe": "mixed", "mixed_clean": 0.5},
        {"recipe": "trades"},
        {"recipe": "trades", "awp_gamma": 0.005},
        {"recipe": "mart"},
        {"recipe": "mart", "awp_gamma": 0.005},
        {"recipe": "fast"},
        {"recipe": "fast", "awp_gamma": 0.005},
        {"recipe": "mixed", "awp_gamma": 0.005},
    ],
    ids=lambda fields: " ".join(str(value) for value in fields.values()),
)
def test_the_passes_of_a_step_are_those_that_it_does(fields: dict[str, Any]) -> None:
    threat = PGD(steps=3, restarts=1 if fields["recipe"] == "trades" else 2)
    spec = TrainSpec(width=4, attack=threat, batch_size=IMAGES, **fields)
    model = resnet18(10, spec.width, [0.5] * 3, [0.25] * 3)
    setting = Setting(spec, 10, Folded(model).network, generator(0, "noise"))
    images, labels = torch.rand(IMAGES, 3, 32, 32), torch.arange(IMAGES)
    with Counter() as counter:
        loss, _ = RECIPES[spec.recipe](model, images, labels, setting)
        loss.backward()
    expected = IMAGES * costs(model).of(passes(spec))
    assert counter.total == pytest.approx(expected, rel=1e-3)
