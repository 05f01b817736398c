"""Which rows of a table are about one checkpoint, by what their training says."""

import json
from typing import Any

import pytest

from fixed_home import ROWS, FixedHome, evaluation
from runs.footnotes import footnotes
from runs.presets import preset
from runs.result_types import Row
from runs.results import compare, own_table
from runs.same_checkpoint import repeats_another, same_checkpoints
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run, Store

POSTER = preset("poster")


class Home:
    """A training whose checkpoints hold given steps, and an attack run on them."""

    def __init__(self, store: Store, steps: dict[str, int], *, attacked_after: float = 50.0):
        self.store = store
        robust, attack = POSTER.child("robust"), POSTER.child("attack")
        assert isinstance(robust, TrainSpec)
        assert isinstance(attack, AttackSpec)
        home = FixedHome(store.home)
        kept = {
            name: {"epoch": step // 10 - 1, "step": step, "monitor": None, "value": None}
            for name, step in steps.items()
        }
        ended: Any = {"t": 40.0, "kind": "ended", "state": "completed"}
        result = {"state": "completed", "checkpoints": kept}
        self.training = home.run(robust, 1000.0, "aa01", events=[ended], result=result)
        found = evaluation(attack, dict.fromkeys(ROWS, self.training))
        created = home.now - 1000 + attacked_after
        self.attack = home.run(attack, home.now - created, "aa02", result=found)
        for row in found["rows"]:
            row["evaluation"] = self.attack
        found["rows"] = found["rows"][1:]
        (home.path / "runs" / self.attack / "result.json").write_text(json.dumps(found))
        self.rows: list[Row] = found["rows"]

    def same(self) -> list[Any]:
        return list(same_checkpoints(self.store.folder, self.rows))


def test_two_names_of_one_step_are_one_checkpoint(store: Store) -> None:
    home = Home(store, {"best_clean": 300, "best_robust": 300, "last": 400})
    expected = {
        "run": home.training,
        "checkpoint": "best_robust",
        "model": "Best robust",
        "same_as": "Best clean",
        "epoch": 29,
    }
    assert home.same() == [expected]
    assert compare(store, [home.attack]).get("same_checkpoints") == [expected]
    table = own_table(Run(store.folder / home.attack))
    assert table is not None
    assert table.get("same_checkpoints") == [expected]
    assert "Best robust is the same checkpoint as Best clean (epoch 30)" in footnotes(table)


def test_the_rows_of_two_trainings_with_the_same_names_are_told_apart(store: Store) -> None:
    home = Home(store, {"best_clean": 300, "best_robust": 300})
    table = compare(store, [home.attack])
    table["rows"] += [{**row, "run": "another"} for row in table["rows"]]
    figures = {"n": 9, "only_one": 0, "only_other": 0, "difference": 0.0, "ci95": (0, 0), "p": 1}
    pair: Any = {"attack": "pgd", "one": "Best robust", "other": "Best clean", **figures}
    table["paired"] = [pair]
    notes = footnotes(table)
    note = f"Best robust is the same checkpoint as Best clean (epoch 30 of {home.training})"
    assert note in notes
    assert any("McNemar" in note for note in notes)  # it may be about the other training
    is_repeated = repeats_another(table)
    assert [is_repeated(row) for row in table["rows"]] == [False, True, False, False]


def test_a_checkpoint_is_compared_once(store: Store) -> None:
    home = Home(store, {"best_clean": 300, "best_robust": 300})
    table = compare(store, [home.attack])
    pair: Any = {"n": 9, "only_one": 0, "only_other": 0, "difference": 0.0, "ci95": (0, 0), "p": 1}
    pairs: Any = [
        {"attack": "pgd-untargeted", "one": one, "other": other, **pair}
        for one, other in (
            ("Best clean", "Best robust"),
            ("Best robust", "Baseline"),
            ("Best clean", "Baseline"),
        )
    ]
    table["paired"] = pairs
    (sentence,) = [note for note in footnotes(table) if "McNemar" in note]
    assert sentence.startswith("Best clean is 0.0 points")


@pytest.mark.parametrize(
    ("steps", "attacked_after"),
    [
        ({"best_clean": 300, "best_robust": 290}, 50.0),
        ({"best_clean": 300}, 50.0),
        ({}, 50.0),
        # the training went on after the attack: what it holds now need not be what was attacked
        ({"best_clean": 300, "best_robust": 300}, 30.0),
    ],
)
def test_equal_figures_alone_prove_nothing(
    store: Store, steps: dict[str, int], attacked_after: float
) -> None:
    home = Home(store, steps, attacked_after=attacked_after)
    clean, robust = home.rows
    robust["attacks"], robust["accuracy"] = clean["attacks"], clean["accuracy"]
    assert home.same() == []
    assert "same_checkpoints" not in compare(store, [home.attack])


def test_the_same_step_of_two_trainings_is_not_one_checkpoint(store: Store) -> None:
    home = Home(store, {"best_clean": 300, "best_robust": 300})
    other = Home(Store(store.home / "other"), {"best_clean": 300, "best_robust": 300})
    (store.home / "other" / "runs" / other.training).rename(store.folder / "copied")
    home.rows[1]["run"] = "copied"
    assert home.same() == []


@pytest.mark.parametrize("missing", ["run", "evaluation"])
def test_a_row_that_does_not_say_where_it_comes_from_is_left_out(
    store: Store, missing: str
) -> None:
    home = Home(store, {"best_clean": 300, "best_robust": 300})
    row: Any = home.rows[1]
    row[missing] = None
    assert home.same() == []
