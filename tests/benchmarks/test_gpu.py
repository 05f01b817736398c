"""The report of ``gpu.py``, of a study that was not run on a GPU: it must not fail on one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

import gpu
from advtui_process import Studied
from runs.result_types import parse_result
from runs.results import attack_cell, row
from runs.store import Store

TRAINED = {"seconds_per_epoch": 4.5, "images_per_second": 12_345.6, "flop_utilisation": 0.31}


def study() -> tuple[Store, list[Any]]:
    """Children with results, and the rows of the table."""
    rows: list[Any] = []
    for model, correct, robust in (("Baseline", 7700, 1), ("Best clean", 5650, 2650)):
        cell = attack_cell(
            eps=8 / 255, n=10_000, correct=correct, successes=correct - robust, robust=robust
        )
        attacks: Any = {"pgd-untargeted": {**cell, "seconds": 2.25}}
        rows.append(
            row(model=model, run="r", checkpoint="last", n=10_000, correct=correct, attacks=attacks)
        )
    rows.append({**rows[1], "model": "Best robust"})
    # As a reader of result.json gets it.
    result = parse_result({"v": 1, "kind": "attack", "state": "completed", "rows": rows})
    assert result is not None
    rows = list(result["rows"])
    runs = [
        SimpleNamespace(role="attack", result={"rows": rows}),
        SimpleNamespace(role="robust", result={"mode": "robust", **TRAINED}),
        SimpleNamespace(role="baseline", result={"mode": "baseline", **TRAINED}),
    ]
    return cast(Store, SimpleNamespace(runs=lambda: runs)), rows


@pytest.mark.parametrize("preset", list(gpu.STUDY))
def test_what_was_found_stands_beside_what_should_be(preset: str) -> None:
    store, rows = study()
    told = gpu.times(store, preset, 359.0)
    assert "| PGD-10 adversarial training, an epoch | ≤ 5 | 4.50 | yes |" in told
    assert "| standard training, an epoch | ≤ 1 | 4.50 | no |" in told
    assert "| PGD-20 on the 10,000 test images, best robust | ≤ 2.5 | 2.25 | yes |" in told
    assert f"| study, from command to table | ≤ {gpu.STUDY[preset]:g} | 359.00 | yes |" in told
    assert "| robust: images/s in training steps | | 12,346 (31 % of a matrix product) | |" in told
    assert len(gpu.times(store, preset, None)) == len(told) - 1
    found = gpu.accuracies(rows, preset)
    least = gpu.ACCURACY[preset]["Best robust"]
    assert f"| Best robust: accuracy | ≥ {least[0]:g} | 56.50 | " in "".join(found)
    assert f"| Best robust: robust accuracy | ≥ {least[1]:g} | 26.50 | no |" in found
    assert len(found) == 2 + 5  # the baseline's robust accuracy is nobody's aim


def test_where_it_was_run(studied: Studied) -> None:
    command, _, _, _ = studied
    told = gpu.where(gpu.child(Store(command.home), "robust"))
    assert ", fp32; " in told
    assert "torch 2." in told
