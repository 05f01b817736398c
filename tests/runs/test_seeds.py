"""Mean and standard deviation over seeds, and what is not averaged."""

import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advtui_process import result_of
from runs import seed_formats
from runs.errors import NotFoundError, UserError
from runs.results import first_difference, table
from runs.seeds import figure, mean_over_seeds
from runs.store import Store
from seeded_runs import CORRECT, DEMO, SEEDS, a_row, a_study, end, threat, train_spec


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_mean_and_std_are_those_of_others(values: list[float]) -> None:
    found = figure(values)
    mean, std = found["mean"], found["std"]

    assert mean == pytest.approx(statistics.mean(values), abs=1e-12)
    assert std == pytest.approx(statistics.stdev(values), abs=1e-12)
    assert std == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert (figure([0.25])["mean"], figure([0.25])["std"]) == (0.25, None)
    assert (figure([])["mean"], figure([])["std"]) == (None, None)


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
    clean: Any = data["rows"][1]
    assert clean["accuracy"]["values"] == [0.5, 0.6, 0.76]
    assert clean["accuracy"]["mean"] == pytest.approx(0.62)
    assert clean["accuracy"]["std"] == pytest.approx(statistics.stdev([0.5, 0.6, 0.76]))
    success = clean["attacks"]["pgd-untargeted"][0]["success_rate"]
    assert success["values"] == [40 / 50, 50 / 60, 66 / 76]
    assert success["mean"] == pytest.approx(statistics.mean([40 / 50, 50 / 60, 66 / 76]))
    robust = clean["attacks"]["pgd-untargeted"][0]["robust_accuracy"]
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
    with pytest.raises(UserError, match="have the same seed 0: a seed counts once"):
        mean_over_seeds(store, [one.id, again.id])


def test_every_model_needs_the_same_seeds(store: Store) -> None:
    words = [a_study(store, 0).id, f"{a_study(store, 1).id}:best_clean"]

    expected = "Best robust has the seeds 0, Baseline has 0, 1: every row"
    with pytest.raises(UserError, match=expected):
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
    foreign = end(store_of_others.create(DEMO), **result_of(study))

    with pytest.raises(NotFoundError, match="is not a training of this home"):
        mean_over_seeds(store_of_others, [foreign.id])
