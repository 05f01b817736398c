"""The attacks of a run as rows: each model, under each attack, at each ε."""

from typing import Any

import pytest

from runs.event_types import AttackEvent, attack_is_over
from tui.run_list.attack_rows import attack_rows

EPSILONS = [0.0, 8 / 255, 16 / 255]


def spec(*attacks: str, epsilons: Any = ()) -> dict[str, Any]:
    return {
        "checkpoints": [{"label": "Baseline"}, {"label": "Best robust"}],
        "attacks": [{"name": name} for name in attacks],
        "epsilons": epsilons,
    }


def event(model: str, attack: str, done: int, cell: Any = None) -> AttackEvent:
    known: Any = {"v": 1, "t": 1.0, "kind": "attack", "rate": 10.0, "total": 40, "successes": 4}
    known |= {"model": model, "attack": attack, "done": done}
    if cell is not None:
        known["cell"] = cell
    told: AttackEvent = known
    return told


def events(*told: AttackEvent) -> dict[tuple[str, str], AttackEvent]:
    return {(one["model"], one["attack"]): one for one in told}


def test_one_eps_has_a_row_for_each_model_and_attack() -> None:
    known = events(event("Baseline", "fgsm", 40))
    rows = attack_rows(spec("fgsm", "pgd-untargeted"), [], known)
    assert [(row.model, row.attack, row.event is None) for row in rows] == [
        ("Baseline", "fgsm", False),
        ("Baseline", "pgd-untargeted", True),
        ("Best robust", "fgsm", True),
        ("Best robust", "pgd-untargeted", True),
    ]


def test_several_eps_have_a_row_each_and_none_without_an_eps() -> None:
    """Before, ``pgd-untargeted`` alone stood among them with the figure of the largest ε."""
    known = events(
        *(event("Baseline", f"pgd-untargeted ε {eps}", 40) for eps in ("16/255", "0", "8/255")),
        event("Baseline", "pgd-untargeted", 40, cell={"levels": []}),
    )
    rows = attack_rows(spec("pgd-untargeted", epsilons=EPSILONS), [], known)
    names = [f"pgd-untargeted ε {eps}" for eps in ("0", "8/255", "16/255")]
    assert [row.attack for row in rows] == 2 * names
    assert [row.event is None for row in rows] == [False] * 3 + [True] * 3


def test_what_an_earlier_attempt_has_finished_is_told_for_each_eps() -> None:
    levels = [
        {"eps": eps, "tally": {"correct": 40, "successes": k, "robust": 40 - k, "seconds": 2.0}}
        for eps, k in zip(EPSILONS, (0, 10, 30), strict=True)
    ]
    known = events(event("Baseline", "pgd-untargeted", 40, cell={"levels": levels}))
    rows = attack_rows(spec("pgd-untargeted", epsilons=EPSILONS), [], known)
    told = [row.event for row in rows[:3]]
    assert [one and (one["done"], one["successes"], one["rate"]) for one in told] == [
        (40, 0, 20.0),
        (40, 10, 20.0),
        (40, 30, 20.0),
    ]


def test_the_stages_of_autoattack_follow_it() -> None:
    known = events(
        event("Baseline", "autoattack apgd-ce", 40), event("Baseline", "autoattack apgd-t", 4)
    )
    rows = attack_rows(spec("autoattack", "fgsm"), [], known)
    assert [row.attack for row in rows if row.model == "Baseline"] == [
        "autoattack",
        "autoattack apgd-ce",
        "autoattack apgd-t",
        "fgsm",
    ]


def test_a_study_before_its_attacks_names_its_models() -> None:
    rows = attack_rows({"attacks": [{"name": "fgsm"}]}, ["Baseline", "Best clean"], {})
    assert [(row.model, row.attack) for row in rows] == [
        ("Baseline", "fgsm"),
        ("Best clean", "fgsm"),
    ]


@pytest.mark.parametrize("epsilons", [None, "x", ["x", None, True], {}])
def test_a_damaged_spec_is_read_as_one_eps(epsilons: Any) -> None:
    rows = attack_rows(spec("fgsm", epsilons=epsilons), [], {})
    assert [row.attack for row in rows] == ["fgsm", "fgsm"]


def test_a_part_of_an_attack_is_over_without_a_cell() -> None:
    assert attack_is_over(event("Baseline", "pgd-untargeted ε 8/255", 40))
    assert attack_is_over(event("Baseline", "fgsm", 40, cell={"levels": []}))
    assert not attack_is_over(event("Baseline", "pgd-untargeted ε 8/255", 39))
