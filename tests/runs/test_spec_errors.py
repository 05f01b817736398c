"""The sentences in which a spec refuses."""

from typing import Any

import pytest

from runs.errors import UserError
from runs.spec import TrainSpec, parse_spec
from runs.threat_model import PGD
from spec_refusal import refusal

# Unknown names


@pytest.mark.parametrize(
    ("kind", "fields", "path", "suggestion"),
    [
        ("train", {"epoch": 3}, "epoch", "epochs"),
        ("train", {"attack": {"step": 3}}, "attack.step", "steps"),
        ("train", {"validation": {"stepsize": 1}}, "validation.stepsize", "step_size"),
        ("attack", {"limits": 3}, "limits", "limit"),
        ("attack", {"attacks": [{"name": "a", "pgd": {"epss": 0}}]}, "attacks.0.pgd.epss", "eps"),
    ],
)
def test_an_unknown_field_is_named_with_a_suggestion(
    kind: str, fields: dict[str, Any], path: str, suggestion: str
) -> None:
    assert f"unknown field {path!r}; did you mean {suggestion!r}?" in refusal(kind, **fields)


def test_an_unknown_field_like_no_other_gets_no_suggestion() -> None:
    assert refusal("train", zzzzqqqq=1) == "unknown field 'zzzzqqqq'"


def test_a_suggestion_differs_from_what_was_written() -> None:
    assert "did you mean 'steps'" not in refusal("train", steps=3)


def test_several_faults_are_all_named() -> None:
    message = refusal("train", epochs=0, widht=3)

    assert "epochs: " in message
    assert "'widht'; did you mean 'width'" in message


def test_two_fields_with_the_same_fault_are_both_named() -> None:
    message = refusal("train", epochs=0, width=0)

    assert "epochs: " in message
    assert "width: " in message


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "field 'kind' is missing: train, attack or study"),
        ({"kind": "tran"}, "unknown kind 'tran': train, attack or study"),
        ({"kind": "attack", "attacks": [{"name": "a"}]}, "field 'attacks.0.pgd' is missing"),
        ({"kind": "study"}, "field 'baseline' is missing"),
    ],
)
def test_a_missing_field_is_named(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        parse_spec(fields)

    assert sentence in str(error.value)


def test_a_fault_inside_a_list_does_not_say_that_the_list_is_empty() -> None:
    assert "at least 1 item" not in refusal("attack", attacks=[{"name": "a"}])


@pytest.mark.parametrize("steps", [0, -1, -100])
def test_a_refusal_says_what_was_expected_and_what_came(steps: int) -> None:
    message = refusal("train", attack={"steps": steps})

    assert message == f"attack.steps: input should be greater than or equal to 1, not {steps}"


def test_a_very_long_value_is_cut_in_the_message() -> None:
    message = refusal("train", epochs="9x" * 5_000)

    assert message.startswith("epochs: ")
    assert "…" in message
    assert len(message) < 250


@pytest.mark.parametrize("eps", [8, "8", 8.0, 255])
def test_a_budget_in_255ths_is_refused_with_what_was_probably_meant(eps: Any) -> None:
    message = refusal("train", attack={"eps": eps})

    assert message.startswith("attack: ")
    assert "ε is in pixels of [0, 1]" in message
    assert f"{float(eps):g}/255 was probably meant" in message


def test_a_budget_beyond_any_picture_gets_no_guess() -> None:
    message = refusal("train", attack={"eps": 256})

    assert "ε = 256 is outside [0, 1]" in message
    assert "meant" not in message


def test_restarts_need_a_random_start() -> None:
    assert "restarts above 1 need random_start" in refusal(
        "train", attack={"restarts": 2, "random_start": False}
    )
    assert PGD(restarts=1, random_start=False).restarts == 1


@pytest.mark.parametrize(
    "device", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:a", "cpu:0", "cpu\n", " cpu", "mps"]
)
def test_a_device_of_another_form_is_refused_with_those_there_are(device: str) -> None:
    assert refusal("train", device=device) == (
        f"device: {device!r} is not one of auto, cpu, cuda, cuda:N"
    )


@pytest.mark.parametrize(
    ("mode", "recipe", "fitting"),
    [
        ("baseline", "pgd-at", "use standard"),
        ("baseline", "mixed", "use standard"),
        ("robust", "standard", "use pgd-at, mixed, trades, mart or fast"),
    ],
)
def test_a_recipe_that_does_not_fit_its_mode_is_refused(
    mode: str, recipe: str, fitting: str
) -> None:
    message = refusal("train", mode=mode, recipe=recipe)

    assert repr(recipe) in message
    assert repr(mode) in message
    assert message.endswith(fitting)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"recipe": "mixed", "beta": 1}, "recipe 'mixed' has none"),
        ({"swa_start": 0.75, "epochs": 3}, "swa_start 0.75 of 3 epochs leaves none to average"),
        ({"train_limit": 100}, "batch_size 128 exceeds train_limit 100: lower the one"),
        ({"augment": False, "augmentation": "cutout"}, "cutout follows crop and flip"),
        (
            {"mode": "baseline", "recipe": "standard", "patience": 3},
            "patience waits for robust accuracy",
        ),
        (
            {"mode": "baseline", "recipe": "standard", "eps_warmup": 0.1},
            "eps_warmup is for adversarial images",
        ),
        ({"swa_start": 0.5, "ema_decay": 0.9}, "set ema_decay 0"),
        ({"validation": {"craft_mode": "train"}}, "in eval mode: craft_mode eval"),
        ({"recipe": "trades", "attack": {"loss": "dlr"}}, "trades climbs the KL divergence"),
        ({"recipe": "trades", "attack": {"restarts": 2}}, "set restarts 1"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_with_a_sentence(
    fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal("train", **fields)


def test_the_shares_of_a_mixed_batch_do_not_exceed_it() -> None:
    assert "exceed 1" in refusal("train", mixed_clean=0.6, mixed_targeted=0.5)
    assert TrainSpec(mixed_clean=0.5, mixed_targeted=0.5).mixed_clean == 0.5


def test_an_evaluation_without_attacks_is_refused() -> None:
    assert "at least one attack" in refusal("attack", attacks=[])


def test_two_attacks_of_the_same_name_are_refused() -> None:
    attack = {"name": "mine", "pgd": {}}

    assert "two attacks are called 'mine'" in refusal("attack", attacks=[attack, attack])
