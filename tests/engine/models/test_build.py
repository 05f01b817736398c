"""The networks of a training: their sizes against the papers, and those of others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from engine.models.build import new_model
from engine.models.checkpoint import load_model
from engine.training.flops import costs
from own_network import write_package
from runs.architectures import ARCHITECTURES, network_words
from runs.errors import NotFoundError, UserError
from runs.overrides import override
from runs.presets import preset
from runs.spec import TrainSpec
from tiny_training import carried_out, tiny

HALF = ([0.5] * 3, [0.25] * 3)


def network(arch: str, classes: int = 10, **fields: Any) -> torch.nn.Module:
    return new_model(TrainSpec(arch=arch, **fields), classes, *HALF)


@pytest.mark.parametrize(
    ("arch", "parameters", "macs"),
    [
        # He et al. 2016 with the CIFAR stem, as in the code of Rice et al. 2020: 11.17 M
        ("resnet18", 11_173_962, 0.56e9),
        ("preactresnet18", 11_172_170, 0.56e9),
        ("wrn-28-10", 36_479_194, 5.25e9),  # Zagoruyko & Komodakis 2016, table 4: 36.5 M
        ("wrn-34-10", 46_160_474, 6.66e9),  # the code of TRADES (Zhang et al. 2019): 46.16 M
    ],
)
def test_our_networks_have_the_size_of_the_papers(arch: str, parameters: int, macs: float) -> None:
    model = network(arch)
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert costs(model).forward == pytest.approx(2 * macs, rel=0.01)


@pytest.mark.parametrize("arch", list(ARCHITECTURES))
@pytest.mark.parametrize(("width", "classes"), [(4, 10), (16, 100)])
def test_the_parameters_are_counted_without_the_network(
    arch: str, width: int, classes: int
) -> None:
    model = network(arch, classes, width=width)
    counted = sum(weight.numel() for weight in model.parameters())
    assert ARCHITECTURES[arch].parameters(width, classes) == counted


def test_silu_replaces_every_activation_of_a_preactivated_network() -> None:
    model = network("preactresnet18", width=2, activation="silu")
    kinds = {type(module) for module in model.modules()}
    assert torch.nn.SiLU in kinds
    assert torch.nn.ReLU not in kinds


@pytest.mark.parametrize(
    ("fields", "width"),
    [({}, 64), ({"arch": "wrn-34-10"}, 160), ({"arch": "wrn-34-10", "width": 32}, 32)],
)
def test_a_width_that_is_not_said_is_that_of_the_paper(fields: dict[str, Any], width: int) -> None:
    spec = TrainSpec(**fields)
    assert spec.width == width
    assert TrainSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_preset_of_full_width_stays_full_with_another_network() -> None:
    full = override(preset("poster"), {"arch": "wrn-28-10"})
    assert (full.baseline.width, full.robust.width) == (160, 160)
    assert override(preset("cpu"), {"arch": "wrn-28-10"}).robust.width == 16
    assert override(preset("poster"), {"arch": "wrn-28-10", "width": 32}).robust.width == 32


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"arch": "resnet81"}, "neither resnet18, preactresnet18"),
        ({"arch": "timm:a b"}, "nor timm:NAME nor package.module:factory"),
        (
            {"arch": "preactresnet18", "arch_folder": "/code"},
            "arch_folder is for a network",
        ),
        ({"arch": "nets:make", "activation": "silu"}, "activation is for advtui's own networks"),
    ],
)
def test_a_network_that_can_not_be_meant_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainSpec(**fields)


def test_a_network_is_told_in_words() -> None:
    assert network_words("wrn-28-10", 160) == "WRN-28-10"
    assert network_words("resnet18", 16) == "ResNet-18 of width 16"
    assert network_words("nets.wide:make", 64) == "nets.wide:make"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("own"))


def own(package: Path, name: str) -> dict[str, str]:
    return {"arch": f"{package.name}.small:{name}", "arch_folder": str(package.parent)}


@pytest.mark.parametrize("classes", [7, 10])
def test_a_factory_is_given_the_number_of_classes(package: Path, classes: int) -> None:
    model = network(**own(package, "sized"), classes=classes)
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, classes)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("pair", UserError, "must return a tensor of logits, not a tuple"),
        ("mapped", UserError, "must return a tensor of logits, not a dict"),
        ("probable", UserError, "returns probabilities: leave out its last softmax"),
        ("two_in_training", UserError, "must return a tensor of logits, not a tuple"),
        ("squeezed", UserError, "returns 10 logits for 1 RGB image"),
        ("still", UserError, "has no parameters to train"),
        ("nothing", UserError, "returns an object of type int"),
        ("broken", UserError, r"failed: RuntimeError: no such luck"),
        ("absent", NotFoundError, "has no 'absent'"),
    ],
)
def test_a_network_that_can_not_be_trained_is_refused(
    package: Path, name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        network(**own(package, name))  # type: ignore[arg-type]


def test_a_head_of_another_size_is_refused(package: Path) -> None:
    with pytest.raises(UserError, match="returns 2 × 10 logits for 2 RGB images, but"):
        network(**own(package, "make"), classes=12)


def test_a_network_that_was_tried_keeps_its_statistics(package: Path) -> None:
    torch.manual_seed(1)
    model = network(**own(package, "normed"))  # type: ignore[arg-type]
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)


@pytest.mark.parametrize("recipe", ["pgd-at", "mixed", "trades", "mart", "fast"])
def test_each_recipe_trains_a_foreign_network(package: Path, tmp_path: Path, recipe: str) -> None:
    """And its checkpoint is the network again."""
    spec = tiny(recipe=recipe, awp_gamma=0.005, ema_decay=0.9, **own(package, "normed"))
    run, result = carried_out(tmp_path, spec)
    assert result["flops"] > 0
    model, content = load_model(run.checkpoint("last"), classes=10)
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        assert model(images).isfinite().all()
    assert content["hyper_parameters"]["spec"]["arch"] == spec.arch


@pytest.mark.parametrize("arch", ["preactresnet18", "wrn-28-10"])
def test_a_preactivated_network_is_trained(tmp_path: Path, arch: str) -> None:
    run, _ = carried_out(tmp_path, tiny(arch=arch, width=2))
    assert load_model(run.checkpoint("best_clean"), classes=10)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_networks_of_timm(name: str) -> None:
    pytest.importorskip("timm", reason="not installed: pip install 'advtui[timm]'")
    assert network(f"timm:{name}", 7)(torch.rand(2, 3, 32, 32)).shape == (2, 7)


def test_a_network_that_timm_does_not_have_is_refused() -> None:
    pytest.importorskip("timm", reason="not installed: pip install 'advtui[timm]'")
    with pytest.raises(UserError, match="has no network 'resnet10x'"):
        network("timm:resnet10x")


def test_without_timm_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"pip install 'advtui\[timm\]'"):
        network("timm:resnet18")
