"""Everything about a network and the global random states, for comparison before and after."""

import random
from typing import Any

import numpy as np
import torch
from torch import nn


def snapshot(net: nn.Module) -> dict[str, Any]:
    """Everything about a network, and the global random states."""
    numpy = np.random.get_state()
    assert isinstance(numpy, tuple)
    return {
        "modes": {name: module.training for name, module in net.named_modules()},
        "trainable": {name: p.requires_grad for name, p in net.named_parameters()},
        "gradients": {
            name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()
        },
        "objects": {name: id(p) for name, p in [*net.named_parameters(), *net.named_buffers()]},
        "state": {name: value.clone() for name, value in net.state_dict().items()},
        "torch": torch.get_rng_state(),
        "numpy": numpy[1].copy(),
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
