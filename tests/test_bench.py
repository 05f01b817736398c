"""``doctor --bench``: rates that hang together, and predictions made of them."""

import io
import json
import subprocess
import sys

import pytest
import torch
from rich.console import Console

from engine.bench import LEFT, Rates, shape_of, study_s, training_s
from engine.flops import costs, passes
from runs.presets import preset
from runs.spec import TrainSpec
from support import Command
from tui.bench import rates_table, times_table


@pytest.fixture(scope="module")
def measured() -> dict:
    words = [sys.executable, "-P", "-m", "engine.bench", "--preset", "demo", "--threads", "1"]
    done = subprocess.run([*words, "--device", "cpu"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_more_work_takes_longer_and_nothing_beats_a_matrix_product(measured: dict) -> None:
    (one,) = measured["passes"]  # both trainings of the demo are of one shape
    assert (one["width"], one["batch_size"], one["classes"]) == (8, 64, 10)
    rates, cost = one["rates"], costs(10, 8)
    assert rates["forward"] > rates["attack"] > rates["descent"] > 0
    for name, rate in rates.items():
        assert one["flops_per_second"][name] == pytest.approx(rate * getattr(cost, name))
        assert one["flops_per_second"][name] < one["matmul_flops_per_second"]
    assert measured["threads"] == 1
    assert all(seconds > 0 for seconds in measured["presets"]["demo"].values())


def test_as_tables(measured: dict) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(rates_table(measured["passes"]), times_table(measured["presets"]))
    told = console.export_text()
    for word in (
        "training step",
        "8, fp32",
        "demo",
        f"{measured['passes'][0]['rates']['attack']:,.0f}",
    ):
        assert word in told


def test_a_training_takes_its_passes_and_its_validations() -> None:
    spec = preset("cpu").child("robust")
    assert isinstance(spec, TrainSpec)
    assert (spec.recipe, spec.epochs) == ("fast", 17)
    rates = Rates(forward=3000.0, attack=1500.0, descent=750.0)
    images = 48_000  # 375 batches of 128
    step = 1 / 1500 + 1 / 750
    look = 3 / 3000 + 12 * LEFT / 1500
    assert training_s(spec, rates) == pytest.approx(17 * (images * step + 2000 * look))
    less = spec.model_copy(update={"train_limit": 1000})  # 7 batches
    assert training_s(less, rates) == pytest.approx(17 * (896 * step + 2000 * look))
    steps = 3 / 1500 + 1 / 750
    usual = spec.model_copy(update={"recipe": "pgd-at"})
    assert training_s(usual, rates) == pytest.approx(17 * (images * steps + 2000 * look))


def test_a_study_takes_its_three_parts() -> None:
    study = preset("cpu")
    spec = study.child("baseline")
    assert isinstance(spec, TrainSpec)
    rates = {shape_of(spec): Rates(forward=3000.0, attack=1500.0, descent=750.0)}
    parts = study_s(study, rates, torch.device("cpu"))
    assert list(parts) == ["baseline", "robust", "attack"]
    assert parts["robust"] > parts["baseline"] > parts["attack"] > 0
    assert passes(spec).attack == 0


@pytest.mark.slow
def test_a_device_that_is_not_there_is_refused_with_a_sentence(advtui: Command) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = advtui("doctor", "--bench", "--device", "cuda")
    assert done.returncode == 2
    assert "torch sees no CUDA GPU here" in done.stderr
    assert done.stdout == ""
