"""Means and standard deviations over seeds: the figures, what is refused, and how it is shown."""

import csv
import io
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runs import seed_formats
from runs.errors import NotFoundError, UserError
from runs.jsonfiles import write_json
from runs.presets import preset
from runs.results import attack_cell, first_difference, row, table
from runs.seeds import figure, mean_over_seeds, trainings_over_seeds
from runs.spec import StudySpec, TrainSpec
from runs.statistics import mean_and_std
from runs.store import Run, Store
from tui.seed_tables import mean_comparison, trainings
from tui.seeds import parse_seeds

DEMO = preset("demo")
SEEDS = (0, 1, 7)
CORRECT = {0: 50, 1: 60, 7: 76}
"""Images of 100 that each seed's models classify correctly."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def threat(seed: int = 0, **changes: Any) -> dict[str, Any]:
    attack = {"name": "pgd-untargeted", "text": "PGD-20", "targets": None, "eps": 8 / 255}
    common = {"data": "CIFAR-100", "split": "test", "n": 100, "precision": "fp32"}
    return {**common, "seed": seed, "attacks": [attack], **changes}


def train_spec(seed: int, mode: str = "robust", **changes: Any) -> TrainSpec:
    spec = DEMO.child("baseline" if mode == "baseline" else "robust")
    assert isinstance(spec, TrainSpec)
    return spec.model_copy(update={"seed": seed, **changes})


def end(run: Run, **fields: Any) -> Run:
    write_json(run.path / "result.json", {"v": 1, "state": "completed", **fields})
    return run


def a_row(run: Run, checkpoint: str, correct: int, *eps: float) -> dict[str, Any]:
    cells = [
        attack_cell(eps=e, n=100, correct=correct, successes=correct - 10 - n, robust=10 + n)
        for n, e in enumerate(eps or (8 / 255,))
    ]
    attacks = {"pgd-untargeted": cells if len(cells) > 1 else cells[0]}
    name = f"{run.name}: {checkpoint}"
    counts = {"n": 100, "correct": correct, "attacks": attacks}
    return row(model=name, run=run.id, checkpoint=checkpoint, **counts)


def a_study(
    store: Store, seed: int, evaluation: dict[str, Any] | None = None, **recipe: Any
) -> Run:
    """A study's own result, with the trainings that its rows name."""
    spec: StudySpec = DEMO.model_copy(update={"seed": seed})
    study = store.create(spec)
    robust = store.create(train_spec(seed, **recipe), parent=study.id, role="robust")
    plain = store.create(train_spec(seed, "baseline"), parent=study.id, role="baseline")
    rows = [
        a_row(plain, "best_clean", CORRECT[seed] + 5),
        a_row(robust, "best_clean", CORRECT[seed]),
        a_row(robust, "best_robust", CORRECT[seed] - 2),
    ]
    return end(study, **table(evaluation or threat(seed), rows))


# Statistics


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_mean_and_std_are_those_of_others(values: list[float]) -> None:
    mean, std = mean_and_std(values)

    assert mean == pytest.approx(statistics.mean(values), abs=1e-12)
    assert std == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert std == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert mean_and_std([0.25]) == (0.25, None)
    assert mean_and_std([]) == (None, None)


def test_a_figure_counts_the_seeds_that_have_it() -> None:
    found = figure([0.2, None, 0.4])

    assert found["values"] == [0.2, None, 0.4]
    assert found["n_seeds"] == 2
    assert found["mean"] == pytest.approx(0.3)
    assert found["std"] == pytest.approx(0.02**0.5)
    assert seed_formats.mean_std(found) == "30.00 ± 14.14 (2 of 3)"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1}, "b"),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, "a.y"),
        ({"a": {"x": 1}, "c": 1}, {"a": {"x": 1}, "c": 2}, "c"),
        ({"seed": 1}, {"seed": 2}, None),
    ],
)
def test_a_difference_is_told_by_its_path(one: Any, other: Any, told: str | None) -> None:
    assert first_difference(one, other, ("seed",)) == told


# The mean


def test_each_row_is_the_mean_over_the_studies_in_the_order_of_the_seeds(store: Store) -> None:
    words = [a_study(store, seed).id for seed in (7, 0, 1)]

    data = mean_over_seeds(store, words)

    assert data["seeds"] == data["evaluation_seeds"] == [0, 1, 7]
    assert "seed" not in data["threat_model"]
    assert [r["model"] for r in data["rows"]] == ["Baseline", "Best clean", "Best robust"]
    clean = data["rows"][1]
    assert clean["accuracy"]["values"] == [0.5, 0.6, 0.76]
    assert clean["accuracy"]["mean"] == pytest.approx(0.62)
    assert clean["accuracy"]["std"] == pytest.approx(statistics.stdev([0.5, 0.6, 0.76]))
    success = clean["attacks"]["pgd-untargeted"]["success_rate"]
    assert success["values"] == [40 / 50, 50 / 60, 66 / 76]
    assert success["mean"] == pytest.approx(statistics.mean([40 / 50, 50 / 60, 66 / 76]))
    robust = clean["attacks"]["pgd-untargeted"]["robust_accuracy"]
    assert (robust["mean"], robust["std"]) == (pytest.approx(0.1), pytest.approx(0))
    assert robust["n_seeds"] == 3


def test_trainings_of_different_names_stand_for_their_latest_attacks(store: Store) -> None:
    runs = [store.create(train_spec(seed, name=f"X seed {seed}")) for seed in SEEDS]
    for run, seed in zip(runs, SEEDS, strict=True):
        rows = [a_row(run, c, CORRECT[seed]) for c in ("best_clean", "best_robust")]
        end(store.create(DEMO.attack), **table(threat(0), rows))

    data = mean_over_seeds(store, [run.id for run in runs])

    assert [r["model"] for r in data["rows"]] == ["Best clean", "Best robust"]
    assert (data["seeds"], data["evaluation_seeds"]) == ([0, 1, 7], [0, 0, 0])
    assert data["rows"][0]["runs"] == [run.id for run in runs]
    assert "evaluation seed 0" in " ".join(seed_formats.mean_notes(data))


def test_one_attack_run_may_hold_all_seeds(store: Store) -> None:
    runs = [store.create(train_spec(seed)) for seed in SEEDS]
    rows = [a_row(run, "last", CORRECT[s]) for run, s in zip(runs, SEEDS, strict=True)]
    attack = end(store.create(DEMO.attack), **table(threat(), rows))

    (only,) = mean_over_seeds(store, [attack.id])["rows"]

    assert (only["model"], only["accuracy"]["n_seeds"]) == ("Robust last", 3)


def test_one_training_may_be_attacked_with_several_seeds(store: Store) -> None:
    run = store.create(train_spec(3))
    attacks = [
        end(store.create(DEMO.attack), **table(threat(s), [a_row(run, "last", 50 + s)]))
        for s in (0, 1)
    ]

    data = mean_over_seeds(store, [attack.id for attack in attacks])

    assert (data["seeds"], data["evaluation_seeds"]) == ([3, 3], [0, 1])
    assert data["rows"][0]["accuracy"]["values"] == [0.5, 0.51]
    assert "seeds: 0, 1, of the evaluation (training seed 3)" in " ".join(
        seed_formats.mean_notes(data)
    )


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


# What is refused


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        ({"epochs": 77}, "epochs"),
        ({"recipe": "mixed"}, "recipe"),
        ({"attack": DEMO.robust.attack.model_copy(update={"steps": 77})}, "attack.steps"),
    ],
)
def test_another_recipe_is_refused_by_the_field(
    store: Store, recipe: dict[str, Any], field: str
) -> None:
    words = [a_study(store, 0).id, a_study(store, 1, **recipe).id]

    with pytest.raises(UserError, match=rf"can't stand in one mean: they differ in {field}$"):
        mean_over_seeds(store, words)


@pytest.mark.parametrize("changes", [{"name": "x"}, {"threads": 3}, {"device": "cpu"}])
def test_where_and_under_what_name_a_training_ran_does_not_matter(
    store: Store, changes: dict[str, Any]
) -> None:
    words = [a_study(store, 0).id, a_study(store, 1, **changes).id]

    assert mean_over_seeds(store, words)["seeds"] == [0, 1]


def test_another_threat_model_is_refused_by_the_field(store: Store) -> None:
    one, other = a_study(store, 0), a_study(store, 1, threat(1, n=50))

    with pytest.raises(UserError) as error:
        mean_over_seeds(store, [one.id, other.id])

    assert str(error.value) == (
        f"{other.id} and {one.id} can't stand in one mean: they differ in n"
    )


def test_a_seed_counts_once(store: Store) -> None:
    one, again = a_study(store, 0), a_study(store, 0)

    assert mean_over_seeds(store, [one.id, one.id])["seeds"] == [0]
    with pytest.raises(UserError, match="are of the same seed 0: a seed counts once"):
        mean_over_seeds(store, [one.id, again.id])


def test_every_model_needs_the_same_seeds(store: Store) -> None:
    words = [a_study(store, 0).id, f"{a_study(store, 1).id}:best_clean"]

    with pytest.raises(UserError, match="Best robust has the seeds 0, Baseline 0, 1: every row"):
        mean_over_seeds(store, words)


def test_seeds_of_training_and_of_evaluation_are_not_mixed(store: Store) -> None:
    runs = [store.create(train_spec(seed)) for seed in (0, 1)]
    for run, seed in ((runs[0], 0), (runs[0], 5), (runs[1], 0)):
        rows = [a_row(run, "last", 50)]
        end(store.create(DEMO.attack), **table(threat(seed), rows))
    words = [run.id for run in store.runs() if run.kind == "attack"]

    with pytest.raises(UserError, match="training seeds 0, 0, 1 must all differ"):
        mean_over_seeds(store, words)


def test_a_row_whose_training_is_gone_is_refused(store: Store) -> None:
    study = a_study(store, 0)
    store_of_others = Store(store.home / "elsewhere")
    foreign = end(store_of_others.create(DEMO), **study.result or {})

    with pytest.raises(NotFoundError, match="is no training of this home"):
        mean_over_seeds(store_of_others, [foreign.id])


# What is shown


def printed(renderable: Any, width: int = 140) -> str:
    console = Console(width=width)
    with console.capture() as shown:
        console.print(renderable)
    return shown.get()


@pytest.fixture
def data(store: Store) -> dict[str, Any]:
    return mean_over_seeds(store, [a_study(store, seed).id for seed in SEEDS])


@pytest.mark.parametrize("form", ["markdown", "latex", "wide", "narrow"])
def test_the_figures_and_what_they_are_stand_in_every_format(
    data: dict[str, Any], form: str
) -> None:
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


def test_csv_and_json_hold_the_figures_unrounded(data: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(seed_formats.as_csv(data))))

    assert [line["model"] for line in lines] == ["Baseline", "Best clean", "Best robust"]
    for line, one in zip(lines, data["rows"], strict=True):
        cell = one["attacks"]["pgd-untargeted"]
        assert float(line["accuracy_std"]) == one["accuracy"]["std"]
        assert float(line["success_rate_mean"]) == cell["success_rate"]["mean"]
        assert float(line["robust_accuracy_std"]) == cell["robust_accuracy"]["std"]
        assert int(line["n_seeds"]) == 3
    assert json.loads(seed_formats.FORMATS["json"](data)) == data


def test_a_single_seed_has_a_dash_for_its_spread(store: Store) -> None:
    data = mean_over_seeds(store, [a_study(store, 0).id])

    assert "50.00 ± –" in printed(mean_comparison(data))
    assert "over 1 seed: 0" in printed(mean_comparison(data))


def test_trainings_stand_seed_by_seed_above_their_mean(store: Store) -> None:
    runs = []
    for seed, value in ((4, 0.25), (5, 0.75)):
        kept = {"best_clean": {"value": value}, "best_robust": {"value": value / 2}}
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


# --seeds


def test_seeds_are_numbers_with_commas() -> None:
    assert parse_seeds(" 0, 7,2147483647", None, ["epochs=1"]) == (0, 7, 2**31 - 1)
    assert parse_seeds(None, 3, ["seed=4"]) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no seed"),
        (" , ", "names no seed"),
        ("1,,2", "'' is no whole number from 0 to 2147483647"),
        ("-1", "'-1' is no whole number"),
        ("1.5", "'1.5' is no whole number"),
        ("0,x", "'x' is no whole number"),
        ("٣", "is no whole number"),
        ("2147483648", "'2147483648' is no whole number"),
        ("9" * 5000, "is no whole number"),
        ("1,2,01", "1 stands there more than once"),
    ],
)
def test_what_is_no_list_of_different_seeds_is_refused(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        parse_seeds(text, None, None)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("seed", "sets"), [(0, None), (None, ["seed=1"]), (None, [" seed = 1"])])
def test_seed_and_seeds_together_are_refused(seed: int | None, sets: list[str] | None) -> None:
    with pytest.raises(UserError, match="--seed and --seeds"):
        parse_seeds("1,2", seed, sets)
