"""The table over seeds in every format."""

import csv
import io
import json
import statistics
from typing import Any

import pytest
from rich.console import Console

from runs import seed_formats
from runs.results import table
from runs.seeds import mean_over_seeds, trainings_over_seeds
from runs.store import Store
from seeded_runs import DEMO, SEEDS, a_row, a_study, end, threat, train_spec
from tui.render.seed_table import mean_comparison, trainings


def printed(renderable: Any, width: int = 140) -> str:
    console = Console(width=width)
    with console.capture() as shown:
        console.print(renderable)
    return shown.get()


@pytest.fixture
def data(store: Store) -> Any:
    return mean_over_seeds(store, [a_study(store, seed).id for seed in SEEDS])


@pytest.mark.parametrize("form", ["markdown", "latex", "wide", "narrow"])
def test_the_figures_and_what_they_are_stand_in_every_format(data: Any, form: str) -> None:
    if form in seed_formats.FORMATS:
        text = seed_formats.FORMATS[form](data).replace(r"$\pm$", "±").replace("--", "–")
    else:
        text = " ".join(printed(mean_comparison(data), 140 if form == "wide" else 60).split())

    assert "62.00 ± 13.11" in text
    assert "over 3 seeds: 0, 1, 7" in text
    assert "sample standard deviation (divisor: number of seeds − 1)" in text
    assert "CIFAR-100, test split, n = 100" in text
    assert "pgd-untargeted: PGD-20, untargeted" in text
    assert "of the images classified correctly when clean" in text
    assert "Wilson" not in text


def test_csv_and_json_hold_the_figures_unrounded(data: Any) -> None:
    lines = list(csv.DictReader(io.StringIO(seed_formats.as_csv(data))))

    assert [line["model"] for line in lines] == ["Baseline", "Best clean", "Best robust"]
    for line, one in zip(lines, data["rows"], strict=True):
        (cell,) = one["attacks"]["pgd-untargeted"]
        assert float(line["accuracy_std"]) == one["accuracy"]["std"]
        assert float(line["success_rate_mean"]) == cell["success_rate"]["mean"]
        assert float(line["robust_accuracy_std"]) == cell["robust_accuracy"]["std"]
        assert int(line["n_seeds"]) == 3
    rows = [
        {**row, "attacks": {name: cell for name, (cell,) in row["attacks"].items()}}
        for row in data["rows"]
    ]  # printed JSON holds an attack with one ε as an object
    assert json.loads(seed_formats.FORMATS["json"](data)) == {**data, "rows": rows}


def test_a_single_seed_has_a_dash_for_its_spread(store: Store) -> None:
    data = mean_over_seeds(store, [a_study(store, 0).id])

    assert "50.00 ± –" in printed(mean_comparison(data))
    assert "over 1 seed: 0" in printed(mean_comparison(data))


def test_trainings_stand_seed_by_seed_above_their_mean(store: Store) -> None:
    runs = []
    for seed, value in ((4, 0.25), (5, 0.75)):
        at = {"epoch": 0, "step": 1}
        kept = {"best_clean": {**at, "value": value}, "best_robust": {**at, "value": value / 2}}
        run = store.create(train_spec(seed))
        runs.append(end(run, checkpoints=kept, val_images=150))

    data = trainings_over_seeds(runs)

    assert [(r["run"], r["seed"]) for r in data["rows"]] == [(runs[0].id, 4), (runs[1].id, 5)]
    assert data["best_clean"]["values"] == [0.25, 0.75]
    assert data["best_robust"]["std"] == pytest.approx(statistics.stdev([0.125, 0.375]))
    lines = printed(trainings(data)).splitlines()
    assert any(line.split() == [runs[1].id, "5", "75.00", "37.50"] for line in lines)
    assert any("50.00 ± 35.36" in line and "25.00 ± 17.68" in line for line in lines)
    assert "validation split (not that of the comparison), n = 150" in " ".join(lines)


def test_every_eps_of_a_curve_has_its_own_mean(store: Store) -> None:
    runs = [store.create(train_spec(seed)) for seed in (0, 1)]
    rows = [a_row(run, "last", 50, 1 / 255, 2 / 255) for run in runs]
    attack = end(store.create(DEMO.attack), **table(threat(), rows))

    data = mean_over_seeds(store, [attack.id])

    low, high = data["rows"][0]["attacks"]["pgd-untargeted"]
    assert (low["eps"], high["eps"]) == (1 / 255, 2 / 255)
    assert (low["robust_accuracy"]["mean"], high["robust_accuracy"]["mean"]) == (0.1, 0.11)
    assert "1/255: 80.00 ± 0.00<br>2/255: 78.00 ± 0.00" in seed_formats.as_markdown(data)
    assert "ε 2/255" in printed(mean_comparison(data))
