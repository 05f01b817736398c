"""``doctor --bench``: rates that hang together, and predictions made of them."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console

from advtui_process import Command
from engine import bench
from engine.bench import Rates, Shape, shape_of, study_s, training_s
from engine.models.resnet import resnet18
from engine.training.flops import costs
from runs.errors import UserError
from runs.passes import ACTIVE_SHARE, passes
from runs.presets import preset
from runs.spec import TrainSpec
from tui.commands.bench import rates_table, times_table


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    words = [sys.executable, "-P", "-m", "engine.bench", "--preset", "demo", "--threads", "1"]
    done = subprocess.run([*words, "--device", "cpu"], capture_output=True, text=True, check=True)
    rates: dict[str, Any] = json.loads(done.stdout)
    return rates


def test_more_work_takes_longer_and_nothing_beats_a_matrix_product(
    measured: dict[str, Any],
) -> None:
    (one,) = measured["passes"]  # both trainings of the demo are of one shape
    assert (one["width"], one["batch_size"], one["classes"]) == (8, 64, 10)
    rates, cost = one["rates"], costs(resnet18(10, 8, [0.5] * 3, [0.5] * 3))
    assert rates["forward"] > rates["attack"] > rates["descent"] > 0
    assert rates["search"] == rates["attack"]  # on a CPU a training isn't compiled either
    for name, rate in rates.items():
        each = cost.attack if name == "search" else getattr(cost, name)
        assert one["flops_per_second"][name] == pytest.approx(rate * each)
        # Products with the zeros of the padding are counted, but a convolution skips them: in the
        # last stage, of 4×4 pixels, 12² are counted for 10² that are computed.
        assert one["flops_per_second"][name] < one["matmul_flops_per_second"] * (12 / 10) ** 2
    assert measured["threads"] == 1
    assert all(seconds > 0 for seconds in measured["presets"]["demo"].values())


def test_as_tables(measured: dict[str, Any]) -> None:
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
    rates = Rates(forward=3000.0, attack=1500.0, descent=750.0, search=1000.0)
    images = 48_000  # 375 batches of 128
    step = 1 / 1500 + 1 / 750
    look = 3 / 3000 + 12 * ACTIVE_SHARE / 1000
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
    rates = {shape_of(spec): Rates(forward=3000.0, attack=1500.0, descent=750.0, search=1000.0)}
    parts = study_s(study, rates, torch.device("cpu"))
    assert list(parts) == ["baseline", "robust", "attack"]
    assert parts["robust"] > parts["baseline"] > parts["attack"] > 0
    assert passes(spec).attack == 0


SMALL = Shape(classes=10, width=2, batch_size=64, precision="fp32", activation="relu")
CPU = torch.device("cpu")


def failing(error: Exception, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first so many measurements fail."""
    left, really = [times], bench._median_s

    def median_s(work: Callable[[], None], device: torch.device) -> float:
        if left[0]:
            left[0] -= 1
            raise error
        return really(work, device)

    monkeypatch.setattr(bench, "_median_s", median_s)


def test_where_nothing_compiles_the_bench_goes_on_as_a_training_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(RuntimeError("no compiler"), 1, monkeypatch)
    found = bench.measure(SMALL, CPU, 1e12, compiling=True)
    assert found["compiled"] is False
    assert found["images"] == 64
    failing(RuntimeError("broken"), 1, monkeypatch)
    with pytest.raises(RuntimeError, match="broken"):
        bench.measure(SMALL, CPU, 1e12, compiling=False)


def test_where_memory_runs_out_the_bench_takes_half_as_many_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(torch.OutOfMemoryError("CUDA out of memory"), 2, monkeypatch)
    assert bench.measure(SMALL, CPU, 1e12, compiling=False)["images"] == 16
    failing(torch.OutOfMemoryError("CUDA out of memory"), 99, monkeypatch)
    with pytest.raises(UserError, match="even with 2 images"):
        bench.measure(SMALL, CPU, 1e12, compiling=False)


def test_passes_that_are_not_compiled_have_a_line_of_their_own_where_others_are() -> None:
    rates = {"forward": 9.0, "attack": 8.0, "descent": 7.0, "search": 6.0}
    one = {**SMALL._asdict(), "images": 64, "rates": rates, "flops_per_second": rates}
    for compiled in (True, False):
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(rates_table([{**one, "compiled": compiled, "matmul_flops_per_second": 10}]))
        assert ("not compiled" in console.export_text()) is compiled


@pytest.mark.slow
def test_a_device_that_is_not_there_is_refused_with_a_sentence(advtui: Command) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = advtui("doctor", "--bench", "--device", "cuda")
    assert done.returncode == 2
    assert "torch sees no CUDA GPU here" in done.stderr
    assert done.stdout == ""
