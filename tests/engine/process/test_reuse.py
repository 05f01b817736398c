"""Which completed run ``--reuse`` takes."""

from typing import Any, Literal

import pytest

from runs.jsonfiles import read_json, write_json
from runs.presets import preset
from runs.results import default_checkpoints
from runs.spec import AttackSpec, StudySpec, TrainSpec
from runs.store import Run, Store
from runs.study_children import existing_or_new_child

DEMO = preset("demo")
BASELINE = DEMO.child("baseline")


def completed(store: Store, spec: TrainSpec) -> Run:
    """A completed training with the checkpoints that a study attacks."""
    run = store.create(spec)
    write_json(run.path / "result.json", {"state": "completed"})
    for name in default_checkpoints(run.mode):
        run.checkpoint(name).parent.mkdir(exist_ok=True)
        run.checkpoint(name).touch()
    return run


@pytest.fixture
def old(store: Store) -> Run:
    """A completed baseline of the demo."""
    assert isinstance(BASELINE, TrainSpec)
    return completed(store, BASELINE)


def wanted(store: Store, **changes: Any) -> Run:
    """The baseline that a study with these changes takes or makes."""
    assert isinstance(BASELINE, TrainSpec)
    study = store.create(StudySpec.model_validate({**DEMO.model_dump(), "reuse": True}))
    spec = TrainSpec.model_validate({**BASELINE.model_dump(), **changes})
    return existing_or_new_child(store, study, "baseline", spec, reuse=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "mine", "threads": 3, "device": "cpu", "share": True},
        {"compile": "on", "profile": True},
    ],
)
def test_what_leaves_the_outcome_alone_makes_no_other_run(
    store: Store, old: Run, changes: dict[str, Any]
) -> None:
    assert wanted(store, **changes).id == old.id


@pytest.mark.parametrize("changes", [{"seed": 1}, {"epochs": 7}, {"activation": "silu"}])
def test_another_outcome_is_another_run(store: Store, old: Run, changes: dict[str, Any]) -> None:
    assert wanted(store, **changes).id != old.id


def test_a_run_that_is_older_than_a_field_counts_with_what_is_now_its_default(
    store: Store, old: Run
) -> None:
    spec = read_json(old.path / "spec.json")
    assert spec is not None
    del spec["activation"], spec["attack"]["momentum"]
    write_json(old.path / "spec.json", spec)
    assert wanted(store).id == old.id
    assert wanted(store, activation="silu").id != old.id


def test_a_run_with_a_spec_that_is_not_understood_is_passed_over(store: Store, old: Run) -> None:
    spec = read_json(old.path / "spec.json")
    assert spec is not None
    write_json(old.path / "spec.json", {**spec, "of_the_future": 1})
    assert wanted(store).id != old.id


def test_a_training_whose_checkpoints_were_deleted_is_trained_again(store: Store, old: Run) -> None:
    store.delete(old, checkpoints_only=True)
    assert wanted(store).id != old.id


@pytest.mark.parametrize(
    ("role", "missing", "reused"),
    [
        ("baseline", "best_clean", False),
        ("robust", "best_clean", False),
        ("robust", "best_robust", False),
        ("robust", None, True),
    ],
)
def test_a_training_is_reused_only_with_every_checkpoint_that_the_study_attacks(
    store: Store, role: Literal["baseline", "robust"], missing: str | None, reused: bool
) -> None:
    spec = DEMO.child(role)
    assert isinstance(spec, TrainSpec)
    old = completed(store, spec)
    old.checkpoint("last").touch()  # the study does not attack it
    if missing:
        old.checkpoint(missing).unlink()
    study = store.create(DEMO)
    assert (existing_or_new_child(store, study, role, spec, reuse=True).id == old.id) == reused


def test_an_attack_run_is_reused_without_checkpoints(store: Store) -> None:
    spec = DEMO.child("attack")
    assert isinstance(spec, AttackSpec)
    old = store.create(spec)
    write_json(old.path / "result.json", {"state": "completed"})
    study = store.create(DEMO)
    assert existing_or_new_child(store, study, "attack", spec, reuse=True).id == old.id
