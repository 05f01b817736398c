"""Removed runs go to the trash: nothing is lost by one word, and nothing alive is removed."""

import json
import shutil

import pytest

from advtui_process import Command
from runs.errors import NotFoundError, UserError
from runs.events import EventWriter
from runs.jsonfiles import write_json
from runs.locks import FileLock
from runs.presets import preset
from runs.spec import AttackSpec, CheckpointRef, SweepSpec
from runs.store import Run, Store
from runs.trash import Trash, citing
from tiny_training import tiny


def ended(run: Run, state: str = "completed") -> Run:
    write_json(run.path / "result.json", {"v": 1, "kind": run.kind, "state": state})
    return run


@pytest.fixture
def training(store: Store) -> Run:
    run = ended(store.create(tiny(name="night")))
    run.checkpoint("last").parent.mkdir()
    run.checkpoint("last").write_bytes(b"weights")
    return run


def attack_on(store: Store, training: Run) -> Run:
    reference = CheckpointRef(run=training.id, checkpoint="last", label="Last")
    return ended(store.create(AttackSpec(data="digits", checkpoints=(reference,))))


@pytest.fixture
def study(store: Store) -> list[Run]:
    """A study with two children, all ended."""
    whole = store.create(preset("demo"))
    children = [store.create(tiny(), parent=whole.id, role=role) for role in ("baseline", "robust")]
    return [ended(run) for run in (whole, *children)]


def test_a_run_is_removed_and_restored_with_all_its_files(store: Store, training: Run) -> None:
    trash = Trash(store)
    assert trash.put(training) == [training]
    assert store.runs() == []
    assert [run.id for run in trash.runs()] == [training.id]
    [back] = trash.restore("night")
    assert back == training
    assert training.checkpoint("last").read_bytes() == b"weights"
    assert trash.runs() == []


def test_a_study_goes_and_comes_back_with_its_children(store: Store, study: list[Run]) -> None:
    trash = Trash(store)
    trash.put(study[0])
    assert store.runs() == []
    assert {run.id for run in trash.restore(study[0].id)} == {run.id for run in study}
    assert {run.id for run in store.runs()} == {run.id for run in study}


def test_a_sweep_of_studies_goes_and_comes_back_with_their_trainings(
    store: Store, study: list[Run]
) -> None:
    base = preset("demo")
    assert base.kind == "study"
    sweep = ended(store.create(SweepSpec(base=base, seeds=(0,))))
    header = study[0].raw_spec
    header["run"]["parent"] = sweep.id
    write_json(study[0].path / "spec.json", header)
    whole = [sweep.id, *(run.id for run in study)]

    assert [run.id for run in Trash(store).put(sweep)] == whole
    assert store.runs() == []
    assert [run.id for run in Trash(store).restore(sweep.id)] == whole


def test_the_trash_is_emptied_for_good(store: Store, study: list[Run], training: Run) -> None:
    trash = Trash(store)
    trash.put(study[0])
    assert trash.empty() == 3
    assert trash.runs() == []
    assert store.runs() == [training]


def test_what_is_not_in_the_trash_is_not_restored(store: Store, training: Run) -> None:
    with pytest.raises(NotFoundError, match="in the trash"):
        Trash(store).restore(training.id)


def test_a_run_is_not_restored_over_another(store: Store, training: Run) -> None:
    trash = Trash(store)
    trash.put(training)
    shutil.copytree(trash.folder / training.id, training.path)
    with pytest.raises(UserError, match="exists already"):
        trash.restore(training.id)


def test_a_run_whose_worker_is_silent_but_lives_is_not_removed(store: Store) -> None:
    run = store.create(tiny())
    events = EventWriter(run.events_path)
    events.close()
    write_json(
        run.path / "spec.json",
        {**run.raw_spec, "run": {**run.raw_spec["run"], "created": 1.0}},
    )
    silent = Run(run.path)
    assert silent.state() == "lost"
    with (
        FileLock(run.path / "lock"),
        pytest.raises(UserError, match="and its worker lives"),
    ):
        Trash(store).put(silent)


def test_what_a_live_run_refers_to_is_not_removed(store: Store, training: Run) -> None:
    attack = attack_on(store, training)
    (attack.path / "result.json").unlink()
    with pytest.raises(UserError, match=f"{attack.id} refers to {training.id} and is queued"):
        Trash(store).put(training)
    assert training.path.exists()


def test_a_child_of_a_live_study_is_not_removed(store: Store, study: list[Run]) -> None:
    (study[0].path / "result.json").unlink()
    with pytest.raises(UserError, match=f"refers to {study[1].id}"):
        Trash(store).put(study[1])


def test_the_runs_that_refer_to_a_run_are_known(
    store: Store, study: list[Run], training: Run
) -> None:
    attack = attack_on(store, training)
    assert citing(store, store.family(training)) == [(attack, training)]
    assert citing(store, store.family(study[0])) == []
    assert citing(store, [study[1]]) == [(study[0], study[1])]


def test_a_trash_that_can_not_be_written_says_so_and_keeps_the_run(
    store: Store, training: Run
) -> None:
    (store.home / "trash").write_text("a file in the folder's place")
    with pytest.raises(UserError, match="can't be written"):
        Trash(store).put(training)
    assert store.runs() == [training]


# The commands


def test_rm_asks_and_without_a_terminal_needs_a_yes(advtui: Command) -> None:
    run = ended(Store(advtui.home).create(tiny()))
    refused = advtui("rm", run.id)
    assert (refused.returncode, run.path.exists()) == (2, True)
    assert "without a terminal give --yes" in refused.stderr


def test_rm_moves_to_the_trash_and_names_who_refers_to_it(advtui: Command) -> None:
    store = Store(advtui.home)
    run = ended(store.create(tiny()))
    attack = attack_on(store, run)

    removed = advtui("rm", run.id, "--yes")

    assert removed.returncode == 0, removed.stderr
    assert f"attack {attack.id} refers to {run.id}" in removed.stderr
    assert f"advtui trash restore {run.id}" in removed.stderr
    [listed] = json.loads(advtui("trash", "--json").stdout)
    assert listed["id"] == run.id
    assert run.id in advtui("trash", "list").stdout
    assert advtui("trash", "restore", run.id).returncode == 0
    assert run.path.exists()
    assert advtui("trash", "restore", run.id).returncode == 3


def test_purge_and_empty_delete_for_good(advtui: Command) -> None:
    store = Store(advtui.home)
    one, other = (ended(store.create(tiny())) for _ in range(2))
    assert advtui("rm", one.id, "--purge", "--yes").returncode == 0
    assert Trash(store).runs() == []
    assert advtui("rm", other.id, "--yes").returncode == 0
    assert advtui("trash", "empty").returncode == 2
    assert advtui("trash", "empty", "--yes").stderr == "deleted 1 run\n"
    assert list((advtui.home / "trash").iterdir()) == []
    assert advtui("trash", "fill").returncode == 2
