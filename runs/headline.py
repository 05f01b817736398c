"""The headline of a run: its robust accuracy, and the ε at which it was measured.

A table may hold several attacks at several ε. The headline is that of the threat model's own ε, so
that the headlines of several runs can stand in one column. Reads files as data, no pydantic.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runs.budgets import format_budget, norm_and_eps, same_budget
from runs.result_types import Cell, Row, ThreatModel

_USUAL_EPS = {"digits": 32 / 255}
_DEFAULT_EPS = 8 / 255


class Budget(NamedTuple):
    """The norm and the ε of an attack; None where a file does not say."""

    norm: str | None = None
    eps: float | None = None

    def unusual(self, data: str) -> str:
        """``16/255`` or ``L2 0.5``; empty for the ε of :func:`usual_eps`, or where unknown.

        Args:
            data: of the spec.
        """
        if self.eps is None:
            return ""
        if self.norm in ("l2", "l1"):
            return norm_and_eps(self.norm, self.eps)
        return "" if same_budget(self.eps, usual_eps(data)) else format_budget(self.eps)


class Headline(NamedTuple):
    """Robust accuracy, a share of 1, and the budget of the attacks."""

    robust: float | None
    budget: Budget


def usual_eps(data: str) -> float:
    """The ε under L∞ that a reader expects on a data set: that of the presets."""
    return _USUAL_EPS.get(data, _DEFAULT_EPS)


def headline(row: Row, threat: ThreatModel | None, data: str) -> Headline:
    """The lowest robust accuracy of a model over the attacks at one ε.

    Of an attack at several ε it takes the attack's own ε; where that was not evaluated, the
    nearest. Where the attacks differ in ε it takes the usual ε, else the largest.

    Args:
        row: of a comparison table.
        threat: of the same table; None where the file holds none.
        data: of the spec.
    """
    attacks = [] if threat is None else threat["attacks"]
    described: dict[str, Mapping[str, Any]] = {attack["name"]: attack for attack in attacks}
    shares: dict[Budget, list[float]] = {}
    for name, cells in row["attacks"].items():
        attack = described.get(name, {})
        cell = _own_cell(cells, attack.get("eps"), usual_eps(data))
        if cell is not None and cell["robust_accuracy"] is not None:
            budget = _budget(attack.get("norm"), cell["eps"])
            shares.setdefault(budget, []).append(cell["robust_accuracy"])
    if not shares:
        return Headline(None, Budget())
    budget = max(shares, key=lambda one: (not one.unusual(data), one.eps or 0.0))
    return Headline(min(shares[budget]), budget)


def _own_cell(cells: Sequence[Cell], own: object, usual: float) -> Cell | None:
    """The cell of the attack's own ε, else that of the nearest; of two the larger ε."""
    wanted = own if isinstance(own, int | float) else usual

    def distance(cell: Cell) -> tuple[bool, float, float]:
        eps = cell["eps"] or 0.0
        return (not same_budget(eps, wanted), abs(eps - wanted), -eps)

    return min(cells, key=distance, default=None)


def validation_budget(spec: Mapping[str, Any]) -> Budget:
    """The budget of a training's validation, from spec.json without validation of its fields."""
    validation = spec.get("validation")
    if not isinstance(validation, dict):
        return Budget()
    return _budget(validation.get("norm"), validation.get("eps"))


def _budget(norm: object, eps: object) -> Budget:
    if not isinstance(eps, int | float) or not abs(eps) < 1e15:  # NaN is below nothing
        return Budget()
    return Budget(norm if isinstance(norm, str) else None, float(eps))
