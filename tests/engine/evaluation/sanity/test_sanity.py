"""The checks that judge an evaluation, from figures alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from engine.evaluation.sanity.checks import (
    TrainingHistory,
    attack_checks,
    model_checks,
    training_checks,
)
from engine.evaluation.sanity.probes import Probes
from runs.event_types import ObservedExtremes

EPS = 8 / 255
GOOD: ObservedExtremes = {
    "eps": EPS,
    "largest": EPS,
    "lowest": 0.0,
    "highest": 1.0,
    "as_found": True,
}
BUDGET, RANGE, MODE = "perturbations within ε", "pixels in [0, 1]", "model left as found"
STRONGER = "targeted success ≤ untargeted success"


def observation(change: dict[str, Any]) -> ObservedExtremes:
    return cast(ObservedExtremes, {**GOOD, **change})


def verdicts(*changes: dict[str, Any], rows: tuple[Any, ...] = ()) -> dict[str, str]:
    observed = [observation(change) for change in changes]
    return {check["check"]: check["verdict"] for check in attack_checks(observed, rows)}


def row(targeted: float, untargeted: float, correct: int = 100) -> Any:
    attacks = {
        "pgd-targeted": [{"success_rate": targeted}],
        "pgd-untargeted": [{"success_rate": untargeted}],
    }
    return {"correct_k": correct, "attacks": attacks}


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, None),
        ({"largest": EPS + 5e-7}, None),  # rounding of float32
        ({"largest": EPS + 5e-6}, BUDGET),
        ({"largest": 2 * EPS}, BUDGET),
        ({"eps": 3.0, "largest": 3.0 + 3e-6}, None),  # an L2 norm rounds relatively
        ({"eps": 3.0, "largest": 3.0 + 3e-5}, BUDGET),
        ({"largest": 0.0}, None),
        ({"lowest": -1e-7}, RANGE),
        ({"highest": 1 + 1e-7}, RANGE),
        ({"as_found": False}, MODE),
    ],
)
def test_one_wrong_figure_fails_its_own_check_alone(
    change: dict[str, Any], failing: str | None
) -> None:
    found = verdicts(change)
    assert set(found) == {BUDGET, RANGE, MODE}
    assert [name for name, verdict in found.items() if verdict != "pass"] == (
        [failing] if failing else []
    )


@pytest.mark.parametrize(
    ("change", "failing"),
    [({"largest": 1.0}, BUDGET), ({"lowest": -0.5}, RANGE), ({"as_found": False}, MODE)],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_attack_among_good_ones_is_enough(
    change: dict[str, Any], failing: str, place: int
) -> None:
    changes: list[dict[str, Any]] = [{}, {}, {}]
    changes[place] = change
    assert verdicts(*changes)[failing] == "fail"


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((row(0.2, 0.5),), "pass"),
        ((row(0.5, 0.5),), "pass"),
        ((row(0.6, 0.5),), "fail"),
        ((row(0.2, 0.5), row(0.6, 0.5)), "fail"),
        ((row(0.6, 0.5, correct=0), row(0.1, 0.2)), "pass"),  # rates over nothing say nothing
        ((row(0.6, 0.5, correct=0),), None),
        ((), None),
        (({"correct_k": 9, "attacks": {"pgd-targeted": [{"success_rate": 0.9}]}},), None),
    ],
)
def test_targeted_must_not_beat_untargeted(
    rows: tuple[dict[str, Any], ...], verdict: str | None
) -> None:
    assert verdicts({}, rows=rows).get(STRONGER) == verdict


def test_only_a_check_that_failed_gives_advice() -> None:
    checks = attack_checks([observation({"largest": 1.0})], [row(0.1, 0.2)])
    assert len(checks) == 4
    for check in checks:
        assert set(check) == {"check", "verdict", "value", "unit", "model", "advice"}
        assert (check["advice"] is None) == (check["verdict"] == "pass")
    (budget,) = [check for check in checks if check["check"] == BUDGET]
    assert budget["value"] == pytest.approx(1 - EPS)


def test_nothing_observed_is_nothing_wrong() -> None:
    assert set(verdicts().values()) == {"pass"}


# Figures of probed models

HEALTHY = Probes(
    model="m",
    images=1000,
    in_train_mode=0,
    accuracy_gap=0.0,
    logit_change=0.0,
    probabilities=0.0,
    lost_gradients=0.0,
    loss_increase=1.2,
    more_steps=0.002,
    rise_with_eps=-0.03,
    change_at_zero=0.0,
    robust_at_grey=0.0,
    noise=0.02,
    fgsm=0.4,
    pgd=0.5,
    margin=0.01,
    square=0.0,
    transfer=-0.4,
    transfer_from="Baseline",
)
LOGITS, PATH, SAME = "logits, not probabilities", "the attack sees the accuracy", "same input"
GRADIENTS, CLIMBS, CONVERGED = "input gradients are there", "the attack climbs", "5× the steps"
FALLS, ZERO, GREY = "robust accuracy falls", "ε = 0 changes", "ε = 0.5 leaves"
ORDER, MARGIN, SQUARE = "PGD ≥ FGSM", "margin loss finds", "Square finds"
TRANSFER = "transfer is no stronger"


def judged(*probes: Probes, ce_alone: bool = False, full: bool = True) -> dict[str, Any]:
    checks = model_checks(probes, ce_alone=ce_alone, full=full)
    return {check["check"]: check for check in checks}


def one(found: dict[str, Any], start: str) -> dict[str, Any]:
    checks: list[dict[str, Any]] = [found[name] for name in found if name.startswith(start)]
    (check,) = checks
    return check


def test_a_healthy_model_passes_every_check() -> None:
    assert {check["verdict"] for check in judged(HEALTHY).values()} == {"pass"}


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"in_train_mode": 1}, "model in eval mode", "fail"),
        ({"accuracy_gap": 0.0021}, PATH, "fail"),
        ({"accuracy_gap": 0.001}, PATH, "pass"),  # one image of a thousand
        ({"logit_change": 0.01}, SAME, "fail"),
        ({"logit_change": float("nan")}, SAME, "fail"),
        ({"logit_change": 1e-6}, SAME, "pass"),
        ({"probabilities": 1.0}, LOGITS, "fail"),
        ({"lost_gradients": 0.05}, GRADIENTS, "warn"),
        ({"lost_gradients": 0.5}, GRADIENTS, "fail"),
        ({"loss_increase": 0.0}, CLIMBS, "fail"),
        ({"loss_increase": -0.3}, CLIMBS, "fail"),
        ({"more_steps": 0.012}, CONVERGED, "warn"),
        ({"more_steps": 0.04}, CONVERGED, "fail"),
        ({"rise_with_eps": 0.02}, FALLS, "fail"),
        ({"change_at_zero": 0.001}, ZERO, "fail"),
        ({"robust_at_grey": 0.03}, GREY, "warn"),
        ({"robust_at_grey": 0.2}, GREY, "fail"),
        ({"fgsm": 0.52}, ORDER, "fail"),
        ({"noise": 0.45}, ORDER, "fail"),
        ({"margin": 0.05}, MARGIN, "warn"),
        ({"margin": 0.024}, MARGIN, "pass"),
        ({"square": 0.004}, SQUARE, "warn"),
        ({"square": 0.05}, SQUARE, "fail"),
        ({"square": 0.002}, SQUARE, "pass"),
        ({"transfer": 0.02}, TRANSFER, "fail"),
    ],
)
def test_one_figure_out_of_its_limits_shows_in_its_own_check(
    change: dict[str, Any], name: str, verdict: str
) -> None:
    found = judged(replace(HEALTHY, **change))
    assert one(found, name)["verdict"] == verdict
    others = {c["verdict"] for c in found.values() if not c["check"].startswith(name)}
    assert others == {"pass"}


def test_cross_entropy_alone_is_warned_of_where_the_margin_loss_is_stronger() -> None:
    check = one(judged(replace(HEALTHY, margin=0.024), ce_alone=True), MARGIN)
    assert (check["verdict"], check["model"]) == ("warn", "m")
    assert check["value"] == pytest.approx(2.4)
    assert "--attack pgd-margin" in check["advice"]
    assert one(judged(replace(HEALTHY, margin=0.0), ce_alone=True), MARGIN)["verdict"] == "pass"


def test_where_the_run_itself_has_attacked_with_both_losses_its_own_figures_count() -> None:
    checks = model_checks(
        [replace(HEALTHY, images=100, margin=0.09)],
        full=True,
        ce_alone=False,
        margins={"m": (0.023, 10_000)},
    )
    check: Any
    (check,) = [check for check in checks if check["check"].startswith(MARGIN)]
    assert (check["verdict"], check["value"]) == ("pass", pytest.approx(2.3))


def test_the_worst_model_gives_the_verdict_and_its_name() -> None:
    bad = replace(HEALTHY, model="bad", more_steps=0.3, loss_increase=-2.0)
    for models in ((HEALTHY, bad), (bad, HEALTHY)):
        found = judged(*models)
        assert one(found, CONVERGED)["model"] == "bad"
        assert one(found, CONVERGED)["value"] == pytest.approx(30)
        assert one(found, CLIMBS)["value"] == -2.0


def test_what_was_not_measured_is_skipped_and_says_why() -> None:
    found = judged(replace(HEALTHY, square=None, transfer=None), full=False)
    assert one(found, SQUARE)["verdict"] == one(found, TRANSFER)["verdict"] == "skipped"
    assert "--sanity full" in one(found, SQUARE)["advice"]
    missing = replace(HEALTHY, square=None, square_missing="AutoAttack is not installed")
    assert "not installed" in one(judged(missing), SQUARE)["advice"]


# Trainings

COLLAPSE, LAST = "no catastrophic overfitting", "the last epoch is as robust"


def course(pgd: list[float], fgsm: Sequence[float | None], kept: int = 1) -> dict[str, Any]:
    checks = training_checks([TrainingHistory("Best robust", kept, pgd, list(fgsm))])
    return {check["check"]: check for check in checks}


def test_pgd_that_collapses_while_fgsm_soars_is_catastrophic_overfitting() -> None:
    pgd, fgsm = [0.1, 0.3, 0.02, 0.01], [0.15, 0.35, 0.7, 0.9]
    before, after = course(pgd, fgsm, kept=1), course(pgd, fgsm, kept=3)
    assert one(before, COLLAPSE)["verdict"] == "warn"  # the checkpoint is from before it
    assert one(after, COLLAPSE)["verdict"] == "fail"
    assert one(after, COLLAPSE)["value"] == pytest.approx(29)


def test_a_training_that_loses_both_or_little_has_not_collapsed() -> None:
    for pgd, fgsm in (
        ([0.1, 0.3, 0.1], [0.2, 0.4, 0.15]),  # a bad epoch
        ([0.1, 0.3, 0.28], [0.2, 0.4, 0.45]),
    ):
        assert one(course(pgd, fgsm), COLLAPSE)["verdict"] == "pass"


def test_the_loss_from_the_best_epoch_to_the_last_is_robust_overfitting() -> None:
    check = one(course([0.1, 0.3, 0.25], [0.2, 0.4, 0.4]), LAST)
    assert check["verdict"] == "warn"
    assert check["value"] == pytest.approx(5)
    assert one(course([0.1, 0.3, 0.29], [0.2, 0.4, 0.4]), LAST)["verdict"] == "pass"


def test_without_an_adversarial_training_there_is_nothing_to_say() -> None:
    assert {check["verdict"] for check in training_checks([])} == {"skipped"}
    old = {
        c["check"]: c for c in training_checks([TrainingHistory("m", 0, [0.1, 0.2], [None, None])])
    }
    assert one(old, COLLAPSE)["verdict"] == "skipped"
    assert one(old, LAST)["verdict"] == "pass"
