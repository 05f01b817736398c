"""Runs that were attacked in different ways, or not at all, in one table."""

import csv
import io
import json
from typing import Any

import pytest

from runs.formats import FORMATS, as_csv, as_json, as_latex, as_markdown, column_heads
from runs.jsonfiles import write_json
from runs.results import attack_cell, compare, row, table
from runs.store import Run, Store

ROBUST, BASELINE = "20261122-184001-robust-0000", "20261122-184002-baseline-0000"
PGD_RUN, OTHER_RUN = "20261122-184005-attack-aaaa", "20261122-184006-attack-bbbb"
PGD = {
    "name": "pgd-untargeted",
    "text": "PGD-20, L∞, ε = 8/255",
    "method": "pgd",
    "targets": None,
    "norm": "linf",
    "eps": 8 / 255,
    "steps": 20,
    "restarts": 1,
}
WEAKER = {**PGD, "text": "PGD-20, L∞, ε = 4/255", "eps": 4 / 255}
AUTO = {**PGD, "name": "autoattack", "text": "AutoAttack standard", "method": "autoattack"}


def add(store: Store, run_id: str, **result: Any) -> Run:
    run = Run(store.folder / run_id)
    run.path.mkdir(parents=True)
    kind, mode = run_id.split("-")[2], None
    if kind in ("robust", "baseline"):
        kind, mode = "train", kind
    header = {"id": run_id, "created": float(run_id[9:15]), "parent": None}
    write_json(run.path / "spec.json", {"kind": kind, "mode": mode, "run": header})
    write_json(run.path / "result.json", {"v": 1, "state": "completed", **result})
    return run


def evaluation(
    store: Store, run_id: str, attack: dict[str, Any], trained: list[str], **changes: Any
) -> Run:
    """An attack run on the best clean checkpoints of these trainings."""
    common: Any = {"data": "CIFAR-100", "split": "test", "n": 100, "seed": 0, **changes}
    levels = common.get("epsilons") or [attack["eps"]]
    cells = [attack_cell(eps=eps, n=100, correct=50, successes=30, robust=20) for eps in levels]
    rows = [
        row(
            model=run.split("-")[2],
            run=run,
            checkpoint="best_clean",
            n=100,
            correct=50,
            attacks={attack["name"]: cells},
            evaluation=run_id,
        )
        for run in trained
    ]
    threat: Any = {**common, "attacks": [attack]}
    return add(store, run_id, **table(threat, rows))


@pytest.fixture
def both(store: Store) -> Store:
    for run in (ROBUST, BASELINE):
        add(store, run)
    return store


def columns(data: Any) -> list[list[str]]:
    return [list(each["attacks"]) for each in data["rows"]]


def test_other_attacks_have_columns_of_their_own_and_a_model_without_one_a_dash(
    both: Store,
) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE])
    evaluation(both, OTHER_RUN, AUTO, [ROBUST])

    data = compare(both, [BASELINE, ROBUST])

    assert columns(data) == [["pgd-untargeted"], ["autoattack"]]
    assert data["threat_model"]["attacks"] == [PGD, AUTO]
    assert [head.line for head in column_heads(data).values()] == [
        "Untargeted, L∞ 8/255, 20 steps",
        "AutoAttack, L∞ 8/255",
    ]
    assert data["notes"] == ["–: the model was not attacked in this way"]


def test_another_budget_is_another_column_with_its_budget_in_every_format(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE])
    evaluation(both, OTHER_RUN, WEAKER, [ROBUST])

    data = compare(both, [BASELINE, ROBUST])

    weaker = "pgd-untargeted (L∞ 4/255)"
    assert columns(data) == [["pgd-untargeted"], [weaker]]
    assert [attack["name"] for attack in data["threat_model"]["attacks"]] == [
        "pgd-untargeted",
        weaker,
    ]
    head = as_markdown(data).splitlines()[0]
    assert "Untargeted robust %<br>L∞ 8/255<br>20 steps" in head
    assert "Untargeted robust %<br>L∞ 4/255<br>20 steps" in head
    assert r"\multicolumn{2}{c}{L$\infty$ 4/255, 20 steps}" in as_latex(data)
    lines = list(csv.DictReader(io.StringIO(as_csv(data))))
    assert [(line["attack"], round(255 * float(line["eps"]))) for line in lines] == [
        ("pgd-untargeted", 8),
        (weaker, 4),
    ]
    rows = json.loads(as_json(data))["rows"]
    assert rows[1]["attacks"][weaker]["eps"] == 4 / 255  # an object: one ε


def test_attacks_that_differ_in_nothing_that_the_head_names_say_what_differs(both: Store) -> None:
    evaluation(both, PGD_RUN, {**PGD, "loss": "ce"}, [BASELINE])
    evaluation(both, OTHER_RUN, {**PGD, "loss": "margin"}, [ROBUST])

    heads = column_heads(compare(both, [BASELINE, ROBUST]))

    assert [head.title for head in heads.values()] == ["Untargeted", "Untargeted (loss margin)"]


def test_one_model_attacked_in_two_ways_is_one_row(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [ROBUST])
    evaluation(both, OTHER_RUN, AUTO, [ROBUST])

    data = compare(both, [PGD_RUN, OTHER_RUN])

    assert columns(data) == [["pgd-untargeted", "autoattack"]]
    assert "notes" not in data


def test_a_training_gets_missing_cells_from_its_older_attacks(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE, ROBUST])
    evaluation(both, OTHER_RUN, AUTO, [ROBUST])

    data = compare(both, [BASELINE, ROBUST])

    assert columns(data) == [["pgd-untargeted"], ["autoattack", "pgd-untargeted"]]


def test_a_curve_beside_a_single_budget_keeps_its_points(both: Store) -> None:
    levels = [4 / 255, 8 / 255]
    evaluation(both, PGD_RUN, PGD, [BASELINE])
    evaluation(both, OTHER_RUN, PGD, [ROBUST], epsilons=levels)

    data = compare(both, [BASELINE, ROBUST])

    curve = "pgd-untargeted (ε 4/255, 8/255)"
    assert columns(data) == [["pgd-untargeted"], [curve]]
    assert "epsilons" not in data["threat_model"]
    rows = json.loads(as_json(data))["rows"]
    assert isinstance(rows[0]["attacks"]["pgd-untargeted"], dict)
    assert [cell["eps"] for cell in rows[1]["attacks"][curve]] == levels


def test_a_run_without_attacks_has_a_row_without_figures_in_every_format(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE])

    data = compare(both, [ROBUST, BASELINE])

    assert [each["model"] for each in data["rows"]] == ["Best clean", "Best robust", "baseline"]
    assert data["rows"][0]["accuracy"] is None
    assert data["rows"][0]["attacks"] == {}
    assert data["notes"] == ["not attacked yet: Best clean, Best robust"]
    for name, written in FORMATS.items():
        text = written(data)
        assert "Best robust" in text
        assert "not attacked yet" in text or name == "csv"
    assert "| Best clean | – | – | – |" in as_markdown(data)
    assert [line["attack"] for line in csv.DictReader(io.StringIO(as_csv(data)))] == [
        *("", "", "pgd-untargeted")
    ]
    keys = {"model", "run", "checkpoint", "n", "accuracy", "accuracy_ci95", "attacks"}
    assert all(keys <= each.keys() for each in json.loads(as_json(data))["rows"])


def test_a_live_study_beside_an_attacked_run_is_one_row(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE])
    study = add(both, "20261122-184009-study-cccc")

    data = compare(both, [BASELINE, study.id])

    assert [each["model"] for each in data["rows"]] == ["baseline", "study cccc"]


def test_another_seed_of_the_evaluation_stands_with_a_note(both: Store) -> None:
    evaluation(both, PGD_RUN, PGD, [BASELINE])
    evaluation(both, OTHER_RUN, PGD, [ROBUST], seed=7)

    data = compare(both, [PGD_RUN, OTHER_RUN])

    assert columns(data) == [["pgd-untargeted"], ["pgd-untargeted"]]
    assert "seed" not in data["threat_model"]
    assert data["notes"] == [
        "evaluated with different seeds, on the same images: "
        f"seed 0: {PGD_RUN}; seed 7: {OTHER_RUN}"
    ]
    assert "seed None" not in as_markdown(data)


def test_fields_of_another_version_and_of_speed_keep_no_attacks_apart(both: Store) -> None:
    evaluation(both, PGD_RUN, {**PGD, "active_set": True}, [BASELINE])
    evaluation(both, OTHER_RUN, {**PGD, "active_set": False, "momentum": 0.0}, [ROBUST])

    assert columns(compare(both, [BASELINE, ROBUST])) == [["pgd-untargeted"]] * 2
