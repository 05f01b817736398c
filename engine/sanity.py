"""Is this evaluation to be believed? Checks on what an evaluation has observed of itself.

Each check is ``{"check", "verdict": "pass" | "warn" | "fail" | "skipped", "value", "advice"}``.
Knows no model; it judges figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runs.formats import cells

ROUNDING = 1e-6
"""Largest rounding of float32 pixels in [0, 1] that is not held against a budget."""


@dataclass(frozen=True)
class Observed:
    """What was seen of one attack on one model."""

    model: str
    attack: str
    eps: float
    largest: float
    """Largest norm of a perturbation."""
    lowest: float
    highest: float
    """Range of all adversarial pixels."""
    as_found: bool
    """Whether the model's mode was afterwards as before."""


def attack_checks(
    observed: Sequence[Observed], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The checks of an attack run."""
    checks = []
    excess = max((o.largest - o.eps for o in observed), default=0.0)
    # An L2 norm sums thousands of rounded squares, hence relative as well.
    allowed = ROUNDING * (1 + max((o.eps for o in observed), default=0.0))
    checks.append(
        _check(
            "perturbations within ε",
            excess <= allowed,
            excess,
            "the attack left its budget: its figures are too strong",
        )
    )
    outside = max((max(-o.lowest, o.highest - 1) for o in observed), default=0.0)
    checks.append(
        _check(
            "pixels in [0, 1]",
            outside <= 0,
            outside,
            "the attack left the range of pictures: its figures are too strong",
        )
    )
    changed = sum(not o.as_found for o in observed)
    checks.append(
        _check(
            "model left as found",
            changed == 0,
            changed,
            "an attack changed the model's mode: what was attacked is not what was counted",
        )
    )
    return [*checks, *_never_stronger(rows)]


def _never_stronger(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    gaps = [
        targeted["success_rate"] - untargeted["success_rate"]
        for row in rows
        if {"pgd-targeted", "pgd-untargeted"} <= row["attacks"].keys() and row["correct_k"]
        for targeted, untargeted in zip(
            cells(row["attacks"]["pgd-targeted"]),
            cells(row["attacks"]["pgd-untargeted"]),
            strict=True,
        )
    ]
    if not gaps:
        return []
    return [
        _check(
            "targeted success ≤ untargeted success",
            max(gaps) <= 0,
            max(gaps),
            "reaching one class is harder than leaving one: the untargeted attack is too weak",
        )
    ]


def _check(name: str, passed: bool, value: float, advice: str) -> dict[str, Any]:
    return {
        "check": name,
        "verdict": "pass" if passed else "fail",
        "value": value,
        "advice": None if passed else advice,
    }
