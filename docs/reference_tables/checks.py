"""The sanity checks with their limits, from the rules and from failing observations."""

from typing import Any

from reference_tables.markdown import part, table, text
from runs.event_types import ObservedExtremes
from runs.result_types import SanityCheck
from runs.results import attack_cell, row

BUDGET, COLLAPSE = "perturbations within ε", "no catastrophic overfitting in training"


def check_table() -> str:
    """The checks of the panel, in its order: name, limits, advice."""
    from engine.evaluation.sanity import thresholds as rules

    probed = [rule for rule, _ in rules.PROBED]
    rows = [
        *map(measured_row, failing_attack_checks()),
        *map(rule_row, probed),
        rule_row(rules.CE_ALONE, " (all untargeted attacks use cross-entropy)"),
        rule_row(rules.MARGIN, " (another loss is among them)"),
        *map(rule_row, (rules.SQUARE, rules.TRANSFER)),
        *map(measured_row, failing_training_checks()),
        rule_row(rules.OVERFIT),
    ]
    listed = list(dict.fromkeys(cells[0].partition(" (")[0] for cells in rows))
    shown = list(map(text, panel_names()))
    assert listed == shown, f"the table has {listed}, the panel {shown}: extend check_table"
    return part(
        table(("Check", "Passes up to", "Warns up to", "Unit", "Tolerance", "Advice"), rows),
    )


def rule_row(rule: Any, where: str = "") -> list[str]:
    never = float("inf")
    limit = f"from {rule.passes:g} on" if rule.least else f"{rule.passes:g}"
    warns = "without limit" if rule.warns == never else f"{rule.warns:g}"
    if rule.warns == rule.passes:
        warns = "never"
    tolerance = "1 image" if rule.images == 1 else f"{rule.images} images" if rule.images else ""
    return [text(rule.check + where), limit, warns, text(rule.unit), tolerance, text(rule.advice)]


def measured_row(check: SanityCheck) -> list[str]:
    """The row of a check that has no rule of its own."""
    from engine.evaluation.sanity.checks import ROUNDING

    name, passes, warns = check["check"], "0", "never"
    if name == BUDGET:
        passes = f"{ROUNDING:g} × (1 + ε)"
    if name == COLLAPSE:
        assert training_checks_at(checkpoint_epoch=0)[COLLAPSE]["verdict"] == "warn"
        warns = "without limit, if the checkpoint is from before the collapse"
    unit, advice = check.get("unit", "points"), check.get("advice") or ""
    return [text(name), passes, warns, text(unit), "", text(advice)]


def failing_attack_checks() -> list[SanityCheck]:
    """The checks of the attacks, from an evaluation in which all of them fail."""
    from engine.evaluation.sanity import checks as sanity

    observed = ObservedExtremes(eps=0.0, largest=1.0, lowest=-1.0, highest=2.0, as_found=False)
    successes = {"pgd-targeted": 1, "pgd-untargeted": 0}
    attacks = {
        name: [attack_cell(eps=0.0, n=1, correct=1, successes=count, robust=0)]
        for name, count in successes.items()
    }
    rows = [row(model="", run=None, checkpoint=None, n=1, correct=1, attacks=attacks)]
    return all_failing(sanity.attack_checks([observed], rows), "failing_attack_checks")


def failing_training_checks() -> list[SanityCheck]:
    """The checks of the trainings that have no rule, from a training in which all of them fail."""
    from engine.evaluation.sanity.thresholds import OVERFIT

    checks = training_checks_at(checkpoint_epoch=9)
    without_rule = [check for name, check in checks.items() if name != OVERFIT.check]
    return all_failing(without_rule, "training_checks_at")


def training_checks_at(checkpoint_epoch: int) -> dict[str, SanityCheck]:
    """By name, from a training that collapses in its third epoch."""
    from engine.evaluation.sanity import checks as sanity

    collapsed = sanity.TrainingHistory(
        model="", checkpoint_epoch=checkpoint_epoch, pgd=[0.5, 0.5, 0.0], fgsm=[0.5, 0.5, 1.0]
    )
    return {check["check"]: check for check in sanity.training_checks([collapsed])}


def all_failing(checks: list[SanityCheck], source: str) -> list[SanityCheck]:
    """The same checks; only a failed check gives its advice."""
    for check in checks:
        assert check["verdict"] == "fail", (
            f"{check['check']!r} does not fail: give {source} a figure beyond its limit"
        )
    return checks


def panel_names() -> list[str]:
    """The names of all checks, in the order of the panel."""
    from engine.evaluation.sanity import checks as sanity

    panel = [
        *failing_attack_checks(),
        *sanity.model_checks([], full=True, ce_alone=True),
        *sanity.training_checks([]),
    ]
    return [check["check"] for check in panel]
