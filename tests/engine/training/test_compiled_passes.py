"""Compiled passes compute what the others do, and where nothing compiles it goes on."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from advtui_process import TINY, Command, result_of
from engine.attacks.pgd import pgd
from engine.models.batchnorm_folding import Folded
from engine.models.checkpoint import read_checkpoint
from engine.models.resnet import resnet18
from engine.seeding import generator
from engine.training.compiled_passes import CompiledGradientStep, TrainingPasses
from engine.training.recipes import RECIPES, Setting
from runs.spec import ROBUST_RECIPES, TrainSpec
from runs.store import Store
from runs.threat_model import PGD
from tiny_training import carried_out, tiny, warnings


@pytest.mark.slow
def test_where_nothing_can_be_compiled_it_goes_on_and_says_so(
    advtui: Command, tmp_path: Path
) -> None:
    env = {**advtui.env, "CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "c")}
    advtui.env = env
    done = advtui("train", "--mode", "baseline", *TINY, "--epochs", "1", "--compile", "on")
    assert done.returncode == 0, done.stderr
    assert "not compiled, so steps are slower: " in done.stderr
    (run,) = Store(advtui.home).runs()
    assert result_of(run)["last"]["val_accuracy"] > 0


@pytest.fixture
def compiler() -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("there is no C++ compiler here")


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "fields",
    [{"recipe": "trades", "awp_gamma": 0.005}, {"recipe": "mart"}, {"recipe": "fast"}],
    ids=["trades with awp", "mart", "fast"],
)
def test_compiled_passes_give_a_recipe_the_same_losses(fields: dict[str, Any]) -> None:
    """In float64: in float32 signs of small gradients turn, and four steps on losses differ by 2 %
    whether one compiles or changes the first weights by one part in ten millions."""
    spec = TrainSpec.model_validate({"data": "digits", "attack": {"steps": 3}, **fields})
    cpu = torch.device("cpu")
    losses = []
    for compiling in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = resnet18(10, 2, [0.5] * 3, [0.25] * 3).double().train()
        folded = Folded(net)
        passes = TrainingPasses(net, folded.network)
        if compiling:
            passes = passes.compiled(cpu)
        model = net if spec.awp_gamma else passes.trained
        optimiser = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        data = torch.Generator().manual_seed(1)
        for step in range(4):
            images = torch.rand(64, 3, 32, 32, generator=data, dtype=torch.float64)
            labels = torch.randint(10, (64,), generator=data)
            folded.refresh()
            attack_generator = generator(0, "attack", step, device=cpu)
            setting = Setting(
                spec,
                10,
                passes.attacked,
                attack_generator,
                gradient_step=passes.gradient_step,
                forward_with=passes.forward_with,
            )
            optimiser.zero_grad()
            loss, _ = RECIPES[spec.recipe](model, images, labels, setting)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[4:] == pytest.approx(losses[:4], rel=1e-9)
    assert len(set(losses[:4])) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "fields",
    [{}, {"norm": "l2", "momentum": 1.0}, {"loss": "margin", "step_schedule": "cosine"}],
    ids=["sign", "l2 with momentum", "margin, cosine"],
)
def test_a_compiled_step_goes_where_the_equation_leads(fields: dict[str, Any]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Folded(resnet18(10, 2, [0.5] * 3, [0.25] * 3).double()).network
    gradient_step = CompiledGradientStep(network)
    images = torch.rand(16, 3, 32, 32, dtype=torch.float64, generator=generator(1))
    labels, targets = torch.arange(16) % 10, torch.arange(16) % 9 + 1

    def attacked(how: CompiledGradientStep | None, eps: float, aims: Tensor | None) -> Tensor:
        spec = PGD.model_validate({"eps": eps, "step_size": eps / 3, "steps": 4, **fields})
        return pgd(
            network,
            images,
            labels,
            spec,
            targets=aims,
            generator=generator(2),
            keep="last",
            gradient_step=how,
        )

    attacked(gradient_step, 0.1, None), attacked(gradient_step, 0.1, targets)
    with torch.compiler.set_stance("fail_on_recompile"):  # whatever ε and α are
        for eps, aims in ((0.1, None), (0.04, None), (0.04, targets)):
            found, expected = attacked(gradient_step, eps, aims), attacked(None, eps, aims)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
            assert (found - images).abs().max() > eps / 20


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_compiled_it_learns_the_same(tmp_path: Path) -> None:
    runs = [
        carried_out(tmp_path / how, tiny(compile=how, epochs=1, width=2)) for how in ("off", "on")
    ]
    assert warnings(runs[1][0]) == []
    told = [warnings(run, "info") for run, _ in runs]
    assert told == [[], ["compiling: the first steps take about a minute"]]
    plain, compiled = (result for _, result in runs)
    for name in ("train_loss", "val_loss"):
        assert compiled["last"][name] == pytest.approx(plain["last"][name], rel=0.02)
    # The rates are those of the steps after compiling.
    assert plain["warm_up_seconds"] == 0 < compiled["warm_up_seconds"]
    all_steps = compiled["images"] / compiled["train_seconds"]
    assert compiled["images_per_second"] > 2 * all_steps


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["standard", *ROBUST_RECIPES])
def test_on_a_gpu_it_learns_the_same_compiled_with_graphs_and_fused(
    recipe: str, tmp_path: Path
) -> None:
    mode = "baseline" if recipe == "standard" else "robust"
    fields: dict[str, Any] = {"mode": mode, "recipe": recipe, "epochs": 1, "profile": True}
    fields["lr"] = 0.02  # at 0.2 four steps are chaotic: bf16 changes val_loss by 10 %
    found = []
    for how, precision in (("off", "fp32"), ("auto", "fp32"), ("auto", "auto")):
        spec = tiny(compile=how, precision=precision, **fields)
        run, result = carried_out(tmp_path / f"{how}-{precision}", spec, "cuda")
        assert warnings(run) == []  # compiled, and every graph recorded
        assert read_checkpoint(run.checkpoint("best_clean"))["global_step"] == 4
        found.append(result)
    plain, compiled, bf16 = found
    assert [one["precision"] for one in found] == ["fp32", "fp32", "bf16"]
    for name in ("train_loss", "val_loss"):
        assert compiled["last"][name] == pytest.approx(plain["last"][name], rel=0.005)
        assert bf16["last"][name] == pytest.approx(plain["last"][name], rel=0.02)
