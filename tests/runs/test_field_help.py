"""The help sentences of fields."""

import pytest

from runs.field_help import FIELD_HELP
from runs.slurm_options import Slurm
from runs.spec import (
    ROBUST_RECIPES,
    AttackSpec,
    CheckpointRef,
    ModelRef,
    StudySpec,
    SweepSpec,
    TrainSpec,
)
from runs.threat_model import PGD, Attack, Spec

SPECS: dict[str, type[Spec]] = {
    "train": TrainSpec,
    "attack": AttackSpec,
    "study": StudySpec,
    "pgd": PGD,
    "attacks": Attack,
    "checkpoints": CheckpointRef,
    "models": ModelRef,
    "sweep": SweepSpec,
    "slurm": Slurm,
}
OF_NO_FIELD = {"preset", "set", "tag", "awp", "launcher"}
"""Keys that the command line and the form have beside the fields of a spec."""
FORM_COLUMN = 33
"""Columns for a sentence in the form, in a terminal of 80 columns."""
OF_THE_FORM = (
    *("name", "device", "threads", "seed", "data", "data_dir", "tag", "awp", "mode"),
    *("study.recipe", "activation", "epochs", "batch_size", "lr", "limit"),
    *("norm", "eps", "step_size", "steps", "restarts", "loss", "targets", "set"),
)


@pytest.mark.parametrize("key", FIELD_HELP)
def test_a_help_is_one_sentence_of_one_line(key: str) -> None:
    assert FIELD_HELP[key].endswith(".")
    assert FIELD_HELP[key].count(". ") == 0
    assert len(FIELD_HELP[key]) <= 76


@pytest.mark.parametrize("key", OF_THE_FORM)
def test_a_help_of_the_form_fits_its_column(key: str) -> None:
    assert len(FIELD_HELP[key]) <= FORM_COLUMN


@pytest.mark.parametrize("owner", SPECS)
def test_a_field_is_described_by_the_sentence_of_its_key(owner: str) -> None:
    for name, field in SPECS[owner].model_fields.items():
        if name != "kind":
            allowed = {FIELD_HELP.get(key) for key in (name, f"attack.{name}", f"{owner}.{name}")}
            assert field.description in allowed, name


def test_every_key_belongs_to_a_field() -> None:
    names = {name for spec in SPECS.values() for name in spec.model_fields}

    assert {key.rpartition(".")[2] for key in FIELD_HELP} - names == OF_NO_FIELD


def test_the_help_of_the_recipe_names_every_recipe() -> None:
    words = FIELD_HELP["recipe"].replace(",", "").replace(";", "").split()

    assert {"standard", *ROBUST_RECIPES} <= set(words)
