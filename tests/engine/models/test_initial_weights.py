"""Trainings that start from given weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from engine.models.build import new_model
from engine.models.checkpoint import load_model
from engine.models.initial_weights import take_weights
from engine.models.resnet import PictureClassifier
from runs.errors import UserError
from runs.spec import TrainSpec
from runs.trash import references
from tiny_training import carried_out, tiny, warnings

SPEC = TrainSpec(arch="preactresnet18", width=2)


def network(classes: int = 10, seed: int = 0, spec: TrainSpec = SPEC) -> PictureClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return new_model(spec, classes, [0.5] * 3, [0.25] * 3)


def saved(path: Path, model: PictureClassifier, prefix: str = "") -> Path:
    state = model.network.state_dict()
    save_file({prefix + name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "network.network."])
def test_all_weights_and_statistics_are_taken(tmp_path: Path, prefix: str) -> None:
    old, new = network(seed=1), network(seed=2)
    assert take_weights(new, saved(tmp_path / "w.safetensors", old, prefix), SPEC) == []
    for name, tensor in old.network.state_dict().items():
        assert torch.equal(new.network.state_dict()[name], tensor), name


def test_a_head_for_other_classes_stays_new(tmp_path: Path) -> None:
    old, new, fresh = network(100, 1), network(10, 2), network(10, 2)
    head = take_weights(new, saved(tmp_path / "w.safetensors", old), SPEC)
    assert head == ["fc.weight", "fc.bias"]
    taken, before = new.network.state_dict(), old.network.state_dict()
    for name in taken:
        source = fresh.network.state_dict() if name in head else before
        assert torch.equal(taken[name], source[name]), name


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"width": 4}, "does not fit PreActResNet-18 of width 2: conv.weight has the shape"),
        ({"arch": "resnet18"}, "does not fit PreActResNet-18 of width 2: it has no bn1"),
        ({"arch": "wrn-28-10"}, "does not fit PreActResNet-18 of width 2"),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    other = TrainSpec.model_validate({"arch": "preactresnet18", "width": 2, **fields})
    file = saved(tmp_path / "w.safetensors", network(spec=other))
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=said):
        take_weights(model, file, SPEC)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_training_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    """With a vanishing learning rate it ends where it began."""
    first, _ = carried_out(tmp_path, tiny(ema_decay=0.0))
    spec = tiny(init=f"{first.id}:last", lr=1e-12, epochs=1, weight_decay=0.0, ema_decay=0.0)
    second, _ = carried_out(tmp_path, spec)
    (told,) = [text for text in warnings(second, "info") if "starts from" in text]
    assert told == f"starts from the weights of {first.id}:last"
    ends = [load_model(run.checkpoint("last"), classes=10)[0] for run in (first, second)]
    for (name, old), (_, new) in zip(*(end.named_parameters() for end in ends), strict=True):
        torch.testing.assert_close(new, old, msg=name)
    assert references(second) == [first.id]


@pytest.mark.parametrize("text", ["somewhere", "20261127-000000-robust-aaaa:best"])
def test_a_start_that_is_neither_run_nor_path_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="neither RUN:checkpoint nor the absolute path"):
        TrainSpec(init=text)
