"""The table of a run at work: which runs have one, and what is read from files only once."""

from pathlib import Path
from typing import Any

import pytest

from recorded_attacks import recorded_attacks
from runs import live_table
from runs.live_table import LiveTable
from runs.presets import preset
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, ModelRef
from runs.store import Run, Store

STUDY, _ = recorded_attacks()


def snapshot_of(events: list[Any]) -> Snapshot:
    snapshot = Snapshot()
    for event in events:
        snapshot.apply(event)
    return snapshot


def test_an_attack_run_has_its_own_rows_and_a_study_the_usual_ones(store: Store) -> None:
    tables = LiveTable()
    attack = tables.of(store.create(STUDY.spec), snapshot_of(STUDY.events))
    assert attack is not None
    assert [row["accuracy"] for row in attack["rows"]] == [
        row["accuracy"] for row in STUDY.table["rows"]
    ]
    study = tables.of(store.create(preset("demo")), Snapshot())
    assert study is not None
    assert [row["model"] for row in study["rows"]] == ["Baseline", "Best clean", "Best robust"]


def test_a_training_has_no_table(store: Store) -> None:
    assert LiveTable().of(store.create(preset("demo").child("robust")), Snapshot()) is None


def test_a_spec_of_another_version_has_no_table(store: Store) -> None:
    (store.folder / "foreign").mkdir(parents=True)
    (store.folder / "foreign" / "spec.json").write_text('{"kind": "attack", "attacks": 3}')
    assert LiveTable().of(Run(store.folder / "foreign"), Snapshot()) is None


def test_pictures_that_are_on_another_machine_have_no_table(store: Store, tmp_path: Path) -> None:
    network = ModelRef(factory="nets:make", label="mine")
    spec = AttackSpec(models=(network,), data=str(tmp_path / "gone"))
    assert LiveTable().of(store.create(spec), Snapshot()) is None


def test_what_is_not_to_come_has_no_progress(store: Store) -> None:
    run, tables = store.create(STUDY.spec), LiveTable()
    for is_live in (True, False):
        table = tables.of(run, Snapshot(), is_live=is_live)
        assert table is not None
        cells = [cell for row in table["rows"] for each in row["attacks"].values() for cell in each]
        assert {"progress" in cell for cell in cells} == {is_live}


def test_the_rows_of_one_checkpoint_are_looked_for_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    found = [{"model": "Best robust", "same_as": "Best clean", "epoch": 2}]

    def same(folder: Path, rows: Any) -> Any:
        asked.append((folder, [row["evaluation"] for row in rows]))
        return found

    monkeypatch.setattr(live_table, "same_checkpoints", same)
    run, tables = store.create(STUDY.spec), LiveTable()
    for _ in range(3):
        table = tables.of(run, snapshot_of(STUDY.events))
        assert table is not None
        assert table.get("same_checkpoints") == found
    assert asked == [(store.folder, 3 * [run.id])]
