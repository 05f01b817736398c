"""Which attack is at work: an attack counts once, however many ε or stages it has."""

from typing import Any

import pytest

from runs.snapshot import Snapshot
from tui.render.progress import attack_number


def snapshot(*events: tuple[str, str, bool]) -> Snapshot:
    """Of events: model, attack, and whether its images are done."""
    found = Snapshot()
    for model, attack, is_done in events:
        event: dict[str, Any] = {"model": model, "attack": attack, "done": 5, "total": 10}
        event |= {"done": 10, "cell": {"levels": []}} if is_done else {}
        found.apply({"v": 1, "t": 0.0, "kind": "attack", "successes": 0, "rate": 1.0, **event})  # type: ignore[arg-type]
    return found


TWO = {"attacks": [{"name": "pgd"}, {"name": "autoattack"}], "epsilons": [0.01, 0.02, 0.03]}


@pytest.mark.parametrize(
    ("events", "number"),
    [
        ((), 1),
        ((("A", "pgd ε 1/255", True),), 1),
        ((("A", "pgd ε 1/255", True), ("A", "pgd ε 2/255", True), ("A", "pgd", True)), 2),
        (
            (("A", "pgd", True), ("A", "autoattack apgd-ce", True), ("A", "autoattack fab", False)),
            2,
        ),
        ((("A", "pgd", True), ("A", "autoattack", True), ("B", "pgd", True)), 4),
        (tuple((model, name, True) for model in "AB" for name in ("pgd", "autoattack")), 4),
    ],
    ids=["none yet", "one ε", "all ε", "a stage", "whole attacks", "all"],
)
def test_whole_attacks_count(events: tuple[tuple[str, str, bool], ...], number: int) -> None:
    assert attack_number(TWO, snapshot(*events), models=2) == (number, 4)


@pytest.mark.parametrize("spec", [{}, {"attacks": None}, {"attacks": ["pgd"]}])
def test_a_spec_without_attacks_has_none(spec: dict[str, Any]) -> None:
    assert attack_number(spec, Snapshot(), models=3) == (0, 0)
