"""The headline of a run: robust accuracy at the ε of its threat model, and never another unsaid."""

from collections.abc import Mapping
from typing import Any

import pytest

from runs.headline import Budget, Headline, headline, usual_eps, validation_budget
from runs.presets import preset
from runs.results import attack_cell, row
from runs.threat_model import PGD


def of(
    attacks: Mapping[str, Mapping[float, int]], own: dict[str, Any], data: str = "cifar100"
) -> Headline:
    """The headline of a model with so many robust images of 100 per attack and ε (in 255ths)."""
    cells = {
        name: [
            attack_cell(eps=eps / 255, n=100, correct=90, successes=90 - k, robust=k)
            for eps, k in levels.items()
        ]
        for name, levels in attacks.items()
    }
    described: Any = [{"name": name, "text": "", "targets": None, **own} for name in attacks]
    model = row(model="M", run="r", checkpoint="last", n=100, correct=90, attacks=cells)
    return headline(model, {"data": "d", "n": 100, "attacks": described}, data)


LINF = {"norm": "linf", "eps": 8 / 255}
CURVE: Mapping[float, int] = {0: 90, 4: 70, 8: 50, 16: 20}


def test_of_a_curve_it_is_the_threat_models_own_eps_and_not_the_largest() -> None:
    found = of({"pgd-targeted": {0: 90, 4: 80, 8: 70, 16: 40}, "pgd-untargeted": CURVE}, LINF)
    assert found.robust == 0.5
    assert found.budget.unusual("cifar100") == ""


def test_where_the_own_eps_was_not_evaluated_the_nearest_is_marked() -> None:
    found = of({"pgd-untargeted": {0: 90, 4: 70, 16: 20}}, LINF | {"eps": 14 / 255})
    assert (found.robust, found.budget.unusual("cifar100")) == (0.2, "16/255")


def test_another_threat_model_is_marked_also_alone() -> None:
    one = of({"pgd-untargeted": {16: 20}}, LINF | {"eps": 16 / 255})
    assert (one.robust, one.budget.unusual("cifar100")) == (0.2, "16/255")
    other = of({"pgd-untargeted": {127.5: 30}}, {"norm": "l2", "eps": 0.5})
    assert (other.robust, other.budget.unusual("cifar100")) == (0.3, "L2 0.5")
    assert Budget("l2", 8 / 255).unusual("cifar100")


def test_the_digits_have_their_own_usual_eps() -> None:
    found = of({"pgd-untargeted": {8: 60, 32: 40}}, LINF | {"eps": 32 / 255}, "digits")
    assert (found.robust, found.budget.unusual("digits")) == (0.4, "")
    assert found.budget.unusual("cifar10") == "32/255"


def test_the_usual_eps_is_that_of_the_presets() -> None:
    assert usual_eps("digits") == preset("demo").attack.attacks[0].pgd.eps
    for name in ("cpu", "poster", "strong"):
        assert usual_eps(preset(name).data) == preset(name).attack.attacks[0].pgd.eps == PGD().eps


@pytest.mark.parametrize("own", [{}, {"norm": ["x"], "eps": "y"}, {"eps": None}])
def test_a_file_that_does_not_tell_its_own_eps_is_read_at_the_usual(own: dict[str, Any]) -> None:
    assert of({"pgd-untargeted": CURVE}, own).robust == 0.5


def test_without_an_attack_there_is_no_headline() -> None:
    assert of({}, LINF) == Headline(None, Budget())


@pytest.mark.parametrize(
    ("validation", "expected"),
    [
        ({"norm": "linf", "eps": 4 / 255}, "4/255"),
        ({"norm": "linf", "eps": 8 / 255}, ""),
        ({"norm": "l2", "eps": 0.5}, "L2 0.5"),
        ({"norm": 3, "eps": float("nan")}, ""),
        ("no object", ""),
        (None, ""),
    ],
)
def test_a_trainings_figures_are_those_of_its_validation(validation: Any, expected: str) -> None:
    assert validation_budget({"validation": validation}).unusual("cifar100") == expected
