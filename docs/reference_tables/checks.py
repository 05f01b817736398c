"""The sanity checks with their limits, from the rules and from failing observations."""

from typing import Any

from reference_tables.markdown import part, table, text
from runs.event_types import ObservedExtremes
from runs.results import attack_cell, row


def check_table() -> str:
    """The checks of the panel, in its order: name, limits, advice."""
    from engine.evaluation.sanity import thresholds as rules

    *measured, overfitting = measured_checks()
    probed = [rule for rule, _ in rules.PROBED]
    rows = [
        *measured,
        *map(rule_row, probed),
        rule_row(rules.CE_ALONE, " (all untargeted attacks use cross-entropy)"),
        rule_row(rules.MARGIN, " (another loss is among them)"),
        *map(rule_row, (rules.SQUARE, rules.TRANSFER)),
        overfitting,
        rule_row(rules.OVERFIT),
    ]
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


def measured_checks() -> list[list[str]]:
    """The checks that have no rule of their own, from an evaluation in which all of them fail."""
    from engine.evaluation.sanity import checks as sanity

    observed = ObservedExtremes(eps=0.0, largest=1.0, lowest=-1.0, highest=2.0, as_found=False)
    successes = {"pgd-targeted": 1, "pgd-untargeted": 0}
    attacks = {
        name: [attack_cell(eps=0.0, n=1, correct=1, successes=count, robust=0)]
        for name, count in successes.items()
    }
    rows = [row(model="", run=None, checkpoint=None, n=1, correct=1, attacks=attacks)]
    collapsed = sanity.TrainingHistory(
        model="", checkpoint_epoch=9, pgd=[0.5, 0.5, 0.0], fgsm=[0.5, 0.5, 1.0]
    )
    failing = [*sanity.attack_checks([observed], rows), *sanity.training_checks([collapsed])[:1]]
    for check in failing:
        assert check["verdict"] == "fail", check
    return [
        [text(c["check"]), "0", "never", text(c["unit"]), "", text(c["advice"] or "")]
        for c in failing
    ]
