"""What ``--reuse`` takes for the same run."""

from typing import Any

import pytest

from engine.process.study import _child
from runs.jsonfiles import read_json, write_json
from runs.presets import preset
from runs.spec import StudySpec, TrainSpec
from runs.store import Run, Store

DEMO = preset("demo")
BASELINE = DEMO.child("baseline")


@pytest.fixture
def old(store: Store) -> Run:
    """A completed baseline of the demo."""
    assert isinstance(BASELINE, TrainSpec)
    run = store.create(BASELINE)
    write_json(run.path / "result.json", {"state": "completed"})
    return run


def wanted(store: Store, **changes: Any) -> Run:
    """The baseline that a study with these changes takes or makes."""
    assert isinstance(BASELINE, TrainSpec)
    study = store.create(StudySpec.model_validate({**DEMO.model_dump(), "reuse": True}))
    spec = TrainSpec.model_validate({**BASELINE.model_dump(), **changes})
    return _child(store, study, "baseline", spec, reuse=True)


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
