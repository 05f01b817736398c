"""Specs: frozen, strict about names and ranges, and the same after JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runs import presets
from runs.errors import UserError
from runs.spec import ROBUST_RECIPES, AttackSpec, CheckpointRef, StudySpec, TrainSpec, parse_spec
from runs.store import Run, Store
from runs.threat_model import PGD, Attack, Spec, standard_attacks
from spec_refusal import refusal

ALL_SPECS = (PGD, Attack, CheckpointRef, TrainSpec, AttackSpec, StudySpec)


def test_a_spec_is_frozen() -> None:
    spec = TrainSpec()

    with pytest.raises(ValidationError, match="frozen"):
        spec.epochs = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        spec.attack.steps = 3  # type: ignore[misc]


@pytest.mark.parametrize("kind", ALL_SPECS, ids=lambda kind: kind.__name__)
def test_every_field_but_the_tag_has_a_description(kind: type[Spec]) -> None:
    fields = kind.model_fields.items()

    assert [n for n, field in fields if n != "kind" and not field.description] == []


def test_the_default_threat_model_is_the_fields_own() -> None:
    train, attack = TrainSpec(), AttackSpec()

    assert train.attack == PGD(norm="linf", eps=8 / 255, step_size=2 / 255, steps=10)
    assert [(a.name, a.targets, a.pgd.steps) for a in attack.attacks] == [
        ("pgd-targeted", "random", 20),
        ("pgd-untargeted", None, 20),
    ]
    assert {a.pgd.eps for a in attack.attacks} == {8 / 255}
    assert all(a.pgd.random_start for a in attack.attacks)


def test_a_budget_is_read_the_way_the_field_writes_it() -> None:
    assert PGD(eps="8/255", step_size="2/255") == PGD(eps=8 / 255, step_size=2 / 255)


# Ranges

PGD_FAULTS: list[tuple[str, Any]] = [
    ("norm", "l3"),
    ("eps", -1 / 255),
    ("eps", "8/0"),
    ("eps", "nan"),
    ("eps", True),
    ("step_size", -0.1),
    ("step_size", "inf"),
    ("steps", 0),
    ("steps", -5),
    ("steps", 100_001),
    ("steps", 2.5),
    ("restarts", 0),
    ("restarts", 1_001),
    ("random_start", "perhaps"),
    ("loss", "kl"),
    ("craft_mode", "test"),
    ("active_set", None),
]
JOB_FAULTS: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "x" * 201),
    ("device", "gpu"),
    ("threads", 0),
    ("threads", 1025),
    ("precision", "fp16"),
    ("share", "perhaps"),
    ("seed", -1),
    ("seed", 2**31),
    ("data", "imagenet"),
    ("data_dir", 3),
]
TRAIN_FAULTS: list[tuple[str, Any]] = [
    ("mode", "strong"),
    ("recipe", "free"),
    ("mixed_clean", -0.1),
    ("mixed_clean", 1.1),
    ("mixed_targeted", float("nan")),
    ("width", 0),
    ("width", 1025),
    ("epochs", 0),
    ("epochs", 100_001),
    ("batch_size", 1),
    ("batch_size", 65_537),
    ("lr", 0),
    ("lr", float("nan")),
    ("lr", float("inf")),
    ("momentum", 1),
    ("weight_decay", -1e-9),
    ("weight_decay", 1.1),
    ("schedule", "cosine"),
    ("warmup", 0),
    ("warmup", 1),
    ("label_smoothing", -0.1),
    ("label_smoothing", 1),
    ("ema_decay", 1),
    ("ema_decay", -0.1),
    ("clip_norm", 0),
    ("augment", "perhaps"),
    ("val_per_class", 0),
    ("val_per_class", 2501),
    ("train_limit", 1),
]
ATTACK_FAULTS: list[tuple[str, Any]] = [
    ("attacks", [3]),
    ("limit", 0),
    ("batch_size", 0),
    ("batch_size", 65_537),
    ("examples", -1),
    ("examples", 257),
]


@pytest.mark.parametrize(("field", "value"), PGD_FAULTS)
def test_a_value_out_of_range_in_an_attack_is_refused_by_name(field: str, value: Any) -> None:
    message = refusal("train", attack={field: value})

    assert message.startswith(f"attack.{field}: ")


@pytest.mark.parametrize(("field", "value"), [*JOB_FAULTS, *TRAIN_FAULTS])
def test_a_value_out_of_range_in_a_training_is_refused_by_name(field: str, value: Any) -> None:
    message = refusal("train", **{field: value})

    assert message.startswith(f"{field}: ")
    assert len(message) < 250
    assert "pydantic" not in message


@pytest.mark.parametrize(("field", "value"), [*JOB_FAULTS, *ATTACK_FAULTS])
def test_a_value_out_of_range_in_an_evaluation_is_refused_by_name(field: str, value: Any) -> None:
    assert refusal("attack", **{field: value}).startswith(field)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("train", {"epochs": 1, "batch_size": 2, "width": 1, "val_per_class": 1, "train_limit": 2}),
        ("train", {"epochs": 100_000, "batch_size": 65_536, "width": 1024, "seed": 2**31 - 1}),
        ("train", {"momentum": 0, "weight_decay": 0, "label_smoothing": 0, "ema_decay": 0}),
        ("train", {"attack": {"eps": 0, "step_size": 0, "steps": 1}}),
        ("train", {"attack": {"eps": 1, "steps": 100_000, "restarts": 1000}}),
        ("train", {"threads": 1024, "name": "x" * 200}),
        ("attack", {"limit": 1, "batch_size": 1, "examples": 0}),
        ("attack", {"batch_size": 65_536, "examples": 256}),
    ],
)
def test_the_ends_of_the_ranges_are_accepted(kind: str, fields: dict[str, Any]) -> None:
    spec = parse_spec({"kind": kind, **fields}).model_dump()

    for name, value in fields.items():
        assert spec[name] == (spec[name] | value if isinstance(value, dict) else value)


def test_an_l2_budget_may_exceed_1() -> None:
    assert PGD(norm="l2", eps=3.0).eps == 3.0


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_a_device_is_accepted(device: str) -> None:
    assert TrainSpec(device=device).device == device


# What must fit together


@pytest.mark.parametrize(
    ("mode", "recipe"),
    [("baseline", "standard"), *(("robust", name) for name in ROBUST_RECIPES)],
)
def test_recipes_that_fit_their_mode(mode: Any, recipe: Any) -> None:
    assert TrainSpec(mode=mode, recipe=recipe).recipe == recipe


def test_a_study_wants_its_trainings_in_their_places() -> None:
    fields = presets.preset("demo").model_dump(mode="json")
    swapped = {**fields, "baseline": fields["robust"], "robust": fields["baseline"]}
    twice = {**fields, "baseline": fields["robust"]}

    for wrong in (swapped, twice):
        with pytest.raises(UserError, match="baseline must have mode baseline"):
            parse_spec(wrong)


def test_a_childs_job_fields_are_the_studys_own() -> None:
    study = presets.preset("demo").model_copy(
        update={"seed": 7, "device": "cpu", "threads": 2, "data_dir": "/d", "name": "mine"}
    )

    for role in ("baseline", "robust", "attack"):
        child = study.child(role)
        assert (child.seed, child.device, child.threads, child.data_dir) == (7, "cpu", 2, "/d")
        assert child.data == "digits"
        assert child.name is None
        assert child.kind == ("attack" if role == "attack" else "train")


# JSON


def _specs() -> st.SearchStrategy[TrainSpec | AttackSpec]:
    pgds = st.builds(
        PGD,
        norm=st.sampled_from(["linf", "l2"]),
        eps=st.floats(0, 1),
        step_size=st.floats(0, 3),
        steps=st.integers(1, 100),
        restarts=st.integers(1, 9),
        loss=st.sampled_from(["ce", "margin"]),
    )
    trains = st.builds(
        TrainSpec,
        name=st.none() | st.text(min_size=1, max_size=20),
        attack=pgds,
        validation=pgds,
        lr=st.floats(1e-6, 100),
        clip_norm=st.none() | st.floats(1e-3, 10),
        recipe=st.sampled_from(["pgd-at", "mixed"]),
    )
    attacks = st.builds(AttackSpec, attacks=pgds.map(standard_attacks), limit=st.integers(1, 99))
    return trains | attacks


@given(_specs())
def test_a_spec_survives_json(spec: TrainSpec | AttackSpec) -> None:
    text = json.dumps(spec.model_dump(mode="json"))

    assert parse_spec(json.loads(text)) == spec


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_study_survives_json(name: str) -> None:
    study = presets.preset(name)

    assert parse_spec(json.loads(json.dumps(study.model_dump(mode="json")))) == study


def test_a_runs_own_spec_file_runs_again(tmp_path: Any) -> None:
    reference = CheckpointRef(run="20261122-184005-robust-3f9a", checkpoint="last", label="Mine")
    spec = AttackSpec(name="ε [x]", checkpoints=(reference,), limit=100)
    run = Store(tmp_path).create(spec, parent="20261122-184005-study-0000", role="attack")

    fields = json.loads((run.path / "spec.json").read_text(encoding="utf-8"))

    assert fields["run"]["id"] == run.id
    assert parse_spec(fields) == spec
    assert Run(run.path).spec == spec


def test_a_reference_points_to_its_file_below_the_home() -> None:
    reference = CheckpointRef(run="ID", checkpoint="best_clean", label="Baseline")

    assert reference.file == "runs/ID/checkpoints/best_clean.ckpt"
