"""The checks that judge an evaluation, from figures alone."""

from typing import Any

import pytest

from engine.sanity import Observed, attack_checks

EPS = 8 / 255
GOOD = {
    "model": "m",
    "attack": "pgd-untargeted",
    "eps": EPS,
    "largest": EPS,
    "lowest": 0.0,
    "highest": 1.0,
    "as_found": True,
}
BUDGET, RANGE, MODE = "perturbations within ε", "pixels in [0, 1]", "model left as found"
STRONGER = "targeted success ≤ untargeted success"


def verdicts(*changes: dict[str, Any], rows: tuple[dict[str, Any], ...] = ()) -> dict[str, str]:
    observed = [Observed(**{**GOOD, **change}) for change in changes]
    return {check["check"]: check["verdict"] for check in attack_checks(observed, rows)}


def row(targeted: float, untargeted: float, correct: int = 100) -> dict[str, Any]:
    attacks = {
        "pgd-targeted": {"success_rate": targeted},
        "pgd-untargeted": {"success_rate": untargeted},
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
        (({"correct_k": 9, "attacks": {"pgd-targeted": {"success_rate": 0.9}}},), None),
    ],
)
def test_targeted_must_not_beat_untargeted(
    rows: tuple[dict[str, Any], ...], verdict: str | None
) -> None:
    assert verdicts({}, rows=rows).get(STRONGER) == verdict


def test_only_a_check_that_failed_gives_advice() -> None:
    observed = [Observed(**{**GOOD, "largest": 1.0})]
    checks = attack_checks(observed, [row(0.1, 0.2)])
    assert len(checks) == 4
    for check in checks:
        assert set(check) == {"check", "verdict", "value", "advice"}
        assert (check["advice"] is None) == (check["verdict"] == "pass")
    assert checks[0]["value"] == pytest.approx(1 - EPS)


def test_nothing_observed_is_nothing_wrong() -> None:
    assert set(verdicts().values()) == {"pass"}
