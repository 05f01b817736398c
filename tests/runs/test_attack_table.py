"""The table of an attack run fills cell by cell, and ends as the table of the result."""

from typing import Any

import pytest

from recorded_attacks import RecordedAttack, recorded_attacks
from runs.attack_table import partial_table
from runs.presets import preset
from runs.result_types import Cell
from runs.results import attack_cell
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, ModelRef

STUDY, CURVE = recorded_attacks()
BOTH = pytest.mark.parametrize("run", [STUDY, CURVE], ids=["study", "several-eps"])


def model_under(*attacks: str, **fields: Any) -> AttackSpec:
    """A spec of attacks on one network of a user."""
    known = {attack.name: attack for attack in STUDY.spec.attacks}
    listed = tuple(known.get(name, known["pgd-untargeted"]) for name in attacks)
    network = ModelRef(factory="nets:make", label="mine")
    return AttackSpec(models=(network,), attacks=listed, **fields)


def snapshot_of(*events: Any) -> Snapshot:
    snapshot = Snapshot()
    for event in events:
        told: Any = {"v": 1, "t": 1.0, **event}
        snapshot.apply(told)
    return snapshot


def attack(name: str, done: int, total: int, **fields: Any) -> Any:
    event = {"kind": "attack", "model": "mine", "attack": name, "done": done, "total": total}
    return {**event, "successes": 1, "rate": 2.0, **fields}


def only_cell(spec: AttackSpec, *events: Any) -> Cell:
    (row,) = partial_table(spec, snapshot_of(*events))["rows"]
    ((cell,),) = row["attacks"].values()
    return cell


@BOTH
def test_after_the_last_attack_it_is_the_table_of_the_result(run: RecordedAttack) -> None:
    snapshot = snapshot_of(*run.events)
    assert partial_table(run.spec, snapshot, evaluation=run.id) == run.table


@BOTH
def test_a_finished_cell_is_that_of_the_result_from_its_event_on(run: RecordedAttack) -> None:
    final = {row["model"]: row for row in run.table["rows"]}
    snapshot = Snapshot()
    finished = set()
    for event in run.events:
        snapshot.apply(event)
        if "cell" in event:
            finished.add((event["model"], event["attack"]))
        for row in partial_table(run.spec, snapshot, evaluation=run.id)["rows"]:
            seen = {model for model, _ in snapshot.attacks}
            known = final[row["model"]]["accuracy"] if row["model"] in seen else None
            assert row["accuracy"] == known
            for name, cells in row["attacks"].items():
                assert [cell["eps"] for cell in cells] == [
                    cell["eps"] for cell in final[row["model"]]["attacks"][name]
                ]
                if (row["model"], name) in finished:
                    assert cells == final[row["model"]]["attacks"][name]
                else:
                    assert all(cell["success_rate"] is None for cell in cells)
                    assert all("progress" in cell for cell in cells)
    assert len(finished) == 2 * len(run.table["rows"])


def test_a_study_has_its_rows_before_its_attack_run_exists() -> None:
    spec = preset("poster").child("attack")
    assert isinstance(spec, AttackSpec)
    table = partial_table(spec, Snapshot())
    assert [row["model"] for row in table["rows"]] == ["Baseline", "Best clean", "Best robust"]
    assert table["threat_model"]["n"] == 10_000
    assert {row["accuracy"] for row in table["rows"]} == {None}
    cells = [cell for row in table["rows"] for cells in row["attacks"].values() for cell in cells]
    assert len(cells) == 6
    assert all(cell["progress"] is None for cell in cells)


def test_an_attack_shows_how_far_it_is() -> None:
    assert only_cell(model_under("pgd-untargeted"))["progress"] is None
    assert only_cell(model_under("pgd-untargeted"), attack("pgd-untargeted", 3, 12)) == {
        "eps": 32 / 255,
        "success_rate": None,
        "success_ci95": None,
        "robust_accuracy": None,
        "robust_ci95": None,
        "progress": 0.25,
    }


def test_autoattack_is_as_far_as_its_stages() -> None:
    spec = model_under("pgd-untargeted")
    (pgd,) = spec.attacks
    both = pgd.model_copy(update={"name": "autoattack", "method": "autoattack"})
    spec = spec.model_copy(update={"attacks": (both,)})
    first = attack("autoattack apgd-ce", 80, 80)
    assert only_cell(spec, first)["progress"] == pytest.approx(200 / 8800)
    half = attack("autoattack apgd-t", 20, 40)
    assert only_cell(spec, first, half)["progress"] == pytest.approx(1100 / 8800)
    (row,) = partial_table(spec, snapshot_of(first, half))["rows"]
    assert row["correct_k"] == 80


def test_what_an_ended_run_has_not_attacked_is_not_to_come() -> None:
    ended = {"kind": "ended", "state": "interrupted"}
    cell = only_cell(model_under("pgd-untargeted"), attack("pgd-untargeted", 3, 12), ended)
    assert "progress" not in cell
    assert cell["robust_accuracy"] is None


def test_the_pictures_of_a_folder_count_once_they_are_read(tmp_path: Any) -> None:
    spec = model_under("pgd-untargeted", data=str(tmp_path / "photos"), limit=500)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    level = {"eps": 8 / 255, "observed": {}}
    tally = {"correct": 30, "successes": 10, "robust": 20, "seconds": 1.0}
    over = attack("pgd-untargeted", 30, 30, cell={"levels": [{**level, "tally": tally}]})
    reading = {"kind": "progress", "task": "reading", "done": 4, "total": 40}
    panel = {"kind": "progress", "task": "sanity", "done": 0, "total": 1}
    (row,) = partial_table(spec, snapshot_of(over))["rows"]
    assert row["accuracy"] is None
    table = partial_table(spec, snapshot_of(reading, over, panel))
    (row,) = table["rows"]
    assert (table["threat_model"]["n"], row["accuracy"]) == (40, 0.75)
    expected = attack_cell(eps=8 / 255, n=40, correct=30, successes=10, robust=20, seconds=1.0)
    assert row["attacks"] == {"pgd-untargeted": [expected]}
