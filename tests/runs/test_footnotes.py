"""The sentences on two models: under which ε an attack at several is quoted."""

from typing import Any

import pytest

from runs.footnotes import attack_notes, pair_notes, threat_note
from runs.result_types import PairedRows, ThreatModel

EPSILONS = [0.0, 4 / 255, 8 / 255, 16 / 255]


def pair(attack: str, withstood: int, *models: str) -> PairedRows:
    one, other = models or ("Best robust", "Baseline")
    return {
        "attack": attack,
        "one": one,
        "other": other,
        "withstood": withstood,
        "n": 100,
        "only_one": 20,
        "only_other": 5,
        "difference": 0.15,
        "ci95": (0.05, 0.25),
        "p": 0.004,
    }


def threat(own: float | None = 8 / 255, epsilons: list[float] | None = EPSILONS) -> ThreatModel:
    named: Any = [
        {"name": name, "text": "PGD-20", "targets": None, **({} if own is None else {"eps": own})}
        for name in ("pgd-targeted", "pgd-untargeted")
    ]
    whole: ThreatModel = {"data": "CIFAR-100", "n": 100, "attacks": named}
    if epsilons is not None:
        whole["epsilons"] = epsilons
    return whole


CURVE = [
    pair(f"{attack} ε {eps}", withstood)
    for attack, rates in (("pgd-targeted", (90, 80, 60, 30)), ("pgd-untargeted", (90, 50, 20, 1)))
    for eps, withstood in zip(("0", "4/255", "8/255", "16/255"), rates, strict=True)
]


def test_a_curve_is_quoted_at_the_threat_models_own_eps_and_not_at_the_largest() -> None:
    (note,) = pair_notes(CURVE, threat())
    assert "under pgd-untargeted ε 8/255, p = 0.004" in note


def test_where_the_own_eps_was_not_evaluated_each_eps_has_its_sentence() -> None:
    notes = pair_notes(CURVE, threat(own=2 / 255))
    assert [note.partition("under ")[2].partition(",")[0] for note in notes] == [
        "pgd-untargeted ε 4/255",
        "pgd-untargeted ε 8/255",
        "pgd-untargeted ε 16/255",
    ]
    assert len(pair_notes(CURVE, threat(own=None))) == 3  # an older run does not tell its own ε


def test_each_pair_keeps_its_own_sentences() -> None:
    other = [pair("pgd-untargeted ε 8/255", 5, "Best clean", "Baseline")]
    notes = pair_notes(CURVE + other, threat())
    assert [note.partition(" is ")[0] for note in notes] == ["Best clean", "Best robust"]


def test_one_eps_is_quoted_as_before() -> None:
    pairs = [pair("pgd-targeted", 60), pair("pgd-untargeted", 20)]
    (note,) = pair_notes(pairs, threat(epsilons=None))
    assert "under pgd-untargeted, p" in note


def test_a_joined_table_tells_the_eps_of_each_attack() -> None:
    joined = threat(epsilons=None)
    joined["attacks"][1]["epsilons"] = EPSILONS
    (note,) = pair_notes([pair("pgd-targeted", 60), *CURVE[4:]], joined)
    assert "under pgd-untargeted ε 8/255" in note


def attack(name: str, text: str, **fields: Any) -> Any:
    return {"name": name, "text": text, "targets": None, "norm": "linf", "eps": 8 / 255, **fields}


SWEPT = "PGD-20, L∞, ε = 8/255, step 2/255; here at each ε shown, the step the same share of it"


@pytest.mark.parametrize(
    ("attacks", "more", "expected"),
    [
        ([attack("a", "PGD-20, step 2/255"), attack("b", "PGD-20, step 2/255")], {},
         "CIFAR-100, test split, n = 100, seed 3; PGD-20, step 2/255"),
        ([attack("a", "PGD-20"), attack("b", "APGD-100")], {},
         "CIFAR-100, test split, n = 100, seed 3; 2 attacks at L∞ 8/255"),
        ([attack("a", "PGD-20"), attack("b", "PGD-20, L2", norm="l2", eps=0.5)], {},
         "CIFAR-100, test split, n = 100, seed 3; 2 attacks at L∞ 8/255 and L2 0.5"),
        ([attack("a", "PGD-20")], {"epsilons": [0.0, 2 / 255, 16 / 255]},
         "CIFAR-100, test split, n = 100, seed 3; 1 attack at L∞ 0 to 16/255"),
        ([attack("a", SWEPT, step_size=2 / 255)], {"epsilons": [0.0, 2 / 255, 16 / 255]},
         "CIFAR-100, test split, n = 100, seed 3; PGD-20, L∞, ε = 0 to 16/255, step 0.25 ε"),
        ([attack("a", SWEPT, epsilons=[1 / 255, 2 / 255])], {},
         "CIFAR-100, test split, n = 100, seed 3; PGD-20, L∞, ε = 1/255 to 2/255, step 2/255"),
        ([{"name": "a", "text": "x", "targets": None}, attack("b", "y")], {"n": 0},
         "CIFAR-100, test split, seed 3; 2 attacks at L∞ 8/255"),
        ([], {}, "CIFAR-100, test split, n = 100, seed 3"),
    ],
)  # fmt: skip
def test_the_threat_model_in_one_line(attacks: list[Any], more: Any, expected: str) -> None:
    whole: Any = {"data": "CIFAR-100", "n": 100, "seed": 3, "attacks": attacks, **more}
    assert threat_note(whole) == expected


def test_the_note_on_an_attack_at_several_eps_states_all_of_them() -> None:
    whole: Any = {"attacks": [attack("a", SWEPT, step_size=2 / 255)], "epsilons": [0.0, 32 / 255]}
    assert attack_notes(whole)[0].startswith("a: PGD-20, L∞, ε = 0 to 32/255, step 0.25 ε; here")
    del whole["epsilons"]
    assert attack_notes(whole) == [f"a: {SWEPT}, untargeted"]
