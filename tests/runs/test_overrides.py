"""Flags over presets: which words reach which fields."""

from collections.abc import Mapping
from typing import Any

import pytest

from runs.errors import UserError
from runs.overrides import override
from runs.presets import preset
from runs.spec import AttackSpec, StudySpec, TrainSpec
from runs.threat_model import PGD, Attack
from tui.commands import launch as launching

STUDY = preset("poster")
TRAIN = TrainSpec()
ATTACK = AttackSpec()


def pgds(spec: StudySpec) -> dict[str, PGD]:
    return {
        "baseline.attack": spec.baseline.attack,
        "baseline.validation": spec.baseline.validation,
        "robust.attack": spec.robust.attack,
        "robust.validation": spec.robust.validation,
        **{f"attack.{attack.name}": attack.pgd for attack in spec.attack.attacks},
    }


def refusal(spec: TrainSpec | AttackSpec | StudySpec, changes: Mapping[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        override(spec, changes)
    return str(error.value)


@pytest.mark.parametrize("spec", [STUDY, TRAIN, ATTACK], ids=["study", "train", "attack"])
def test_no_changes_leave_the_spec_as_it_is(spec: Any) -> None:
    assert override(spec, {}) == spec


def test_the_spec_given_stays_as_it_was() -> None:
    before = STUDY.model_dump_json()

    override(STUDY, {"eps": "4/255", "epochs": 1, "robust.attack.steps": 1})

    assert STUDY.model_dump_json() == before


# The threat model


@pytest.mark.parametrize("eps", ["4/255", 4 / 255])
def test_eps_alone_scales_the_step_with_it(eps: Any) -> None:
    spec = override(TRAIN, {"eps": eps})

    assert spec.attack.eps == spec.validation.eps == 4 / 255
    assert spec.attack.step_size == pytest.approx(1 / 255)
    assert spec.validation.step_size == pytest.approx(1 / 255)


def test_eps_with_a_step_size_keeps_that_step() -> None:
    spec = override(TRAIN, {"eps": "4/255", "step_size": "3/255"})

    assert spec.attack.step_size == 3 / 255


def test_eps_from_zero_takes_a_quarter_as_its_step() -> None:
    clean = TrainSpec(attack=PGD(eps=0, step_size=0))

    assert override(clean, {"eps": 0.4}).attack.step_size == pytest.approx(0.1)


def test_eps_in_a_study_reaches_every_attack_of_it_and_keeps_each_ones_share() -> None:
    study = preset("cpu")

    changed = pgds(override(study, {"eps": "2/255"}))

    for where, before in pgds(study).items():
        assert changed[where].eps == 2 / 255, where
        assert changed[where].step_size == pytest.approx(before.step_size / 4), where
        assert changed[where].steps == before.steps, where
    assert changed["robust.attack"].step_size != changed["robust.validation"].step_size


def test_eps_in_an_attack_run_reaches_every_attack() -> None:
    assert {attack.pgd.eps for attack in override(ATTACK, {"eps": 0.1}).attacks} == {0.1}


@pytest.mark.parametrize(
    ("eps", "words"),
    [
        ("x", "'x' is not a number"),
        ("nan", "finite"),
        ("1/0", "is not a number"),
        (True, "True is not a number"),
        ("-8/255", "negative"),
    ],
)
def test_a_budget_that_is_none_is_refused_by_its_flag(eps: Any, words: str) -> None:
    message = refusal(TRAIN, {"eps": eps})

    assert message.startswith("--eps: ")
    assert words in message


def test_a_budget_in_255ths_is_refused() -> None:
    assert "8/255 was probably meant" in refusal(STUDY, {"eps": 8})


def test_another_norm_without_a_budget_gets_that_norms_usual_one() -> None:
    changed = pgds(override(STUDY, {"norm": "l2"}))

    assert {pgd.norm for pgd in changed.values()} == {"l2"}
    assert {pgd.eps for pgd in changed.values()} == {128 / 255}
    assert {round(pgd.step_size * 255, 9) for pgd in changed.values()} == {32}
    back = override(override(TRAIN, {"norm": "l2"}), {"norm": "linf"})
    assert back.attack.eps == back.validation.eps == 8 / 255


def test_another_norm_with_a_budget_takes_that() -> None:
    spec = override(TRAIN, {"norm": "l2", "eps": 1.5})

    assert (spec.attack.norm, spec.attack.eps) == ("l2", 1.5)


def test_the_same_norm_again_changes_nothing() -> None:
    assert override(TRAIN, {"norm": "linf"}) == TRAIN


# The run's own attack


@pytest.mark.parametrize(
    ("word", "value"), [("steps", 3), ("restarts", 2), ("loss", "margin"), ("step_size", "1/255")]
)
def test_in_a_train_run_a_word_about_the_attack_means_that_of_the_training(
    word: str, value: Any
) -> None:
    spec = override(TRAIN, {word: value})

    expected = 1 / 255 if word == "step_size" else value
    assert spec.attack == TRAIN.attack.model_copy(update={word: expected})
    assert spec.validation == TRAIN.validation


def test_in_an_attack_run_it_means_every_attack() -> None:
    assert [attack.pgd.steps for attack in override(ATTACK, {"steps": 3}).attacks] == [3, 3]


def test_in_a_study_it_means_those_of_the_evaluation() -> None:
    before, after = pgds(STUDY), pgds(override(STUDY, {"steps": 3, "restarts": 2}))

    for where, pgd in after.items():
        if where.startswith("attack."):
            assert (pgd.steps, pgd.restarts) == (3, 2)
        else:
            assert pgd == before[where]


# Fields and paths


@pytest.mark.parametrize(
    ("field", "value", "places"),
    [
        ("epochs", 2, ["baseline", "robust"]),
        ("width", 8, ["baseline", "robust"]),
        ("batch_size", 32, ["baseline", "robust"]),
        ("train_limit", 1000, ["baseline", "robust"]),
        ("limit", 50, ["attack"]),
        ("examples", 0, ["attack"]),
    ],
)
def test_a_plain_field_of_a_study_reaches_the_children_it_is_about(
    field: str, value: Any, places: list[str]
) -> None:
    after = override(STUDY, {field: value})

    for role in ("baseline", "robust", "attack"):
        child, before = getattr(after, role), getattr(STUDY, role)
        expected = before.model_copy(update={field: value}) if role in places else before
        assert child == expected, role


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 5), ("device", "cpu"), ("name", "mine"), ("reuse", True)]
)
def test_a_field_of_the_study_itself_stays_its_own(field: str, value: Any) -> None:
    assert override(STUDY, {field: value}) == STUDY.model_copy(update={field: value})


def test_a_dotted_path_reaches_one_field_alone() -> None:
    after = override(
        STUDY, {"robust.attack.steps": 7, "attack.attacks.1.pgd.steps": 50, "baseline.epochs": 4}
    )

    assert after.robust == STUDY.robust.model_copy(
        update={"attack": STUDY.robust.attack.model_copy(update={"steps": 7})}
    )
    assert [attack.pgd.steps for attack in after.attack.attacks] == [20, 50]
    assert (after.baseline.epochs, after.robust.epochs) == (4, STUDY.robust.epochs)


def test_a_dotted_path_and_a_word_go_together() -> None:
    after = override(STUDY, {"robust.attack.steps": 7, "eps": "4/255"})

    assert (after.robust.attack.steps, after.robust.attack.eps) == (7, 4 / 255)


def test_attacks_that_differ_keep_their_own_steps() -> None:
    spec = AttackSpec(
        attacks=(Attack(name="a", pgd=PGD(steps=5)), Attack(name="b", pgd=PGD(steps=50)))
    )

    assert [a.pgd.steps for a in override(spec, {"eps": 0.1}).attacks] == [5, 50]


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("epoch", "'epoch'; did you mean 'epochs'"),
        ("nonsense.steps", "'nonsense'"),
        ("robust.attack.stps", "'robust.attack.stps'; did you mean 'steps'"),
        ("robust.atack.steps", "'robust.atack'"),
        ("robust.epochs.steps", "'robust.epochs.steps'"),
    ],
)
def test_an_unknown_field_is_named(key: str, named: str) -> None:
    assert f"unknown field {named}" in refusal(STUDY, {key: 3})


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("steps", 0, "attack.attacks.0.pgd.steps: "),
        ("norm", "l3", "norm: 'l3' is not one of"),
        ("epochs", 0, "baseline.epochs: "),
        ("limit", "few", "attack.limit: "),
        ("seed", -1, "seed: "),
    ],
)
def test_a_value_out_of_range_is_named_where_it_landed(key: str, value: Any, named: str) -> None:
    assert named in refusal(STUDY, {key: value})


def test_one_mistake_that_lands_in_several_places_is_told_once() -> None:
    assert refusal(STUDY, {"norm": "l3"}).count("'l3'") == 1
    assert refusal(STUDY, {"epochs": 0}).count("epochs: ") == 1


@pytest.mark.parametrize("key", ["attack.attacks.0", "attack.attacks.x"])
def test_an_attack_is_not_replaced_by_a_number(key: str) -> None:
    assert f"{key}" in refusal(STUDY, {key: 3})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attack.attacks.9.pgd.steps", 3),
        ("attack.attacks.-1.pgd.steps", 3),
        ("attack.attacks.x.pgd.steps", 3),
        ("attack.attacks", 3),
        ("attack", "x"),
        ("attack", {"limits": 5}),
        ("kind", "attack"),
    ],
)
def test_whatever_is_put_anywhere_is_refused_in_a_sentence(key: str, value: Any) -> None:
    with pytest.raises(UserError):
        override(STUDY, {key: value})


def test_a_part_given_in_full_or_in_part_is_completed_by_the_defaults() -> None:
    spec = override(TRAIN, {"attack": {"steps": 3}})

    assert spec.attack == PGD(steps=3)


@pytest.mark.parametrize("command", [launching.train, launching.study])
def test_awp_means_the_presets_gamma_else_the_papers_and_set_another(
    monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    launched: list[Any] = []
    monkeypatch.setattr(
        "tui.commands.multi_seed.launch_each", lambda spec, *_, **__: launched.append(spec)
    )
    for named, sets in (("demo", None), ("strong", None), ("demo", ["awp_gamma=0.02"])):
        command(preset=named, awp=True, sets=sets, recipe="trades", activation="silu")
    trained = [spec if isinstance(spec, TrainSpec) else spec.robust for spec in launched]
    assert [spec.awp_gamma for spec in trained] == [0.005, 0.01, 0.02]
    studies = [spec for spec in launched if isinstance(spec, StudySpec)]
    assert {spec.baseline.awp_gamma for spec in studies} <= {0}
    assert {(spec.recipe, spec.activation) for spec in trained} == {("trades", "silu")}


def test_fields_of_adversarial_training_reach_a_studys_robust_run_alone() -> None:
    fields = {"recipe": "mart", "beta": 4.0, "patience": 5, "eps_warmup": 0.1, "awp_gamma": 0.01}
    study = override(STUDY, fields)
    assert study.baseline == STUDY.baseline
    assert study.robust == override(STUDY.robust, fields)
    mixed = override(STUDY, {"recipe": "mixed", "mixed_clean": 0.5, "mixed_targeted": 0.25})
    assert (mixed.robust.mixed_clean, mixed.robust.mixed_targeted) == (0.5, 0.25)
    assert override(preset("cpu"), {"fast_noise": 1.0}).baseline.fast_noise == 2.0


# Words that would change nothing


@pytest.mark.parametrize(
    ("spec", "changes", "told"),
    [
        (TRAIN, {"recipe": "fast", "steps": 7}, "steps: recipe 'fast' takes one step of length ε"),
        (TRAIN, {"recipe": "fast", "attack.restarts": 2}, "attack.restarts: recipe 'fast'"),
        (TRAIN, {"mode": "baseline", "recipe": "standard", "step_size": 0.1}, "takes no steps"),
        (preset("cpu"), {"robust.attack.steps": 7}, "robust.attack.steps: recipe 'fast'"),
        (TRAIN, {"recipe": "fast", "attack.momentum": 0.5}, "attack.momentum: recipe 'fast'"),
        (TRAIN, {"recipe": "fast", "attack.random_start": False}, "attack.random_start: recipe"),
        (
            preset("cpu"),
            {"robust.attack.step_schedule": "cosine"},
            "robust.attack.step_schedule: recipe 'fast'",
        ),
        (TRAIN, {"recipe": "trades", "attack.random_start": False}, "starts at Gaussian noise"),
    ],
)
def test_steps_for_a_recipe_that_takes_none_are_refused(
    spec: TrainSpec | StudySpec, changes: dict[str, Any], told: str
) -> None:
    assert told in refusal(spec, changes)


@pytest.mark.parametrize(
    ("spec", "changes", "told"),
    [
        (TRAIN, {"mixed_clean": 0.5}, "mixed_clean needs recipe 'mixed'"),
        (TRAIN, {"fast_noise": 1.0}, "fast_noise needs recipe 'fast'"),
        (TRAIN, {"schedule": "piecewise", "warmup": 0.1}, "warmup needs schedule 'onecycle'"),
        (preset("cpu"), {"cutout_size": 4}, "cutout_size needs augmentation 'cutout'"),
        (
            preset("cpu"),
            {"robust.augmentation": "cutout", "baseline.cutout_size": 4},
            "baseline.cutout_size needs",
        ),
    ],
)
def test_fields_of_what_was_not_chosen_are_refused(
    spec: TrainSpec | StudySpec, changes: dict[str, Any], told: str
) -> None:
    assert told in refusal(spec, changes)


def test_fields_of_what_somebody_chose_are_taken() -> None:
    cpu = override(preset("cpu"), {"robust.augmentation": "cutout", "cutout_size": 4})
    assert cpu.baseline.cutout_size == cpu.robust.cutout_size == 4
    assert override(preset("cpu"), {"fast_noise": 1.0}).robust.fast_noise == 1.0
    mixed = override(TRAIN, {"recipe": "mixed", "mixed_clean": 0.2, "warmup": 0.2})
    assert (mixed.mixed_clean, mixed.warmup) == (0.2, 0.2)


def test_steps_that_somebody_takes_are_not_refused() -> None:
    cpu = preset("cpu")
    assert override(cpu, {"steps": 7}).attack.attacks[0].pgd.steps == 7  # of the evaluation
    back = override(cpu, {"robust.recipe": "pgd-at", "robust.attack.steps": 7})
    assert back.robust.attack.steps == 7
    assert override(cpu, {"norm": "l2"}).robust.attack.norm == "l2"
