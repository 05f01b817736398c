"""The checks of the sanity panel: whether the figures of an evaluation can be trusted.

They follow Carlini et al. (2019), Athalye et al. (2018), Pintor et al. (2022) and the warnings of
AutoAttack (Croce & Hein 2020). Each is a :class:`runs.result_types.SanityCheck` with the worst
figure of all models and the label of that model. The module judges figures; it knows nothing about
networks and attacks.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.evaluation.sanity.probes import Probes
from engine.evaluation.sanity.thresholds import (
    CE_ALONE,
    MARGIN,
    OVERFIT,
    PROBED,
    SQUARE,
    TRANSFER,
    Rule,
    in_points,
)
from engine.training.overfitting import collapses
from runs.event_types import ObservedExtremes
from runs.result_types import Row, SanityCheck, Verdict

ROUNDING = 1e-6
"""Largest excess over ε that counts as rounding of float32 pixels in [0, 1]."""
NO_TRAINING = "no adversarial training behind the rows recorded these accuracies"
OF_VOTES = "no image is correct, every ε is 0, or predictions are majority votes (--eot)"
VERDICTS = ("skipped", "pass", "warn", "fail")
"""From the mildest to the most severe."""


@dataclass(frozen=True)
class TrainingHistory:
    """Validation accuracies of an adversarial training for each epoch, in [0, 1]."""

    model: str
    """The label of its row."""
    checkpoint_epoch: int
    """The epoch of the checkpoint that is attacked: 0, 1, …"""
    pgd: Sequence[float]
    fgsm: Sequence[float | None]
    """None where it was not measured."""


def attack_checks(observed: Sequence[ObservedExtremes], rows: Sequence[Row]) -> list[SanityCheck]:
    """The checks on the attacks of the run.

    Args:
        observed: extremes of each attack on each model at each ε.
        rows: of the comparison table.
    """
    excess = max((o["largest"] - o["eps"] for o in observed), default=0.0)
    # An L2 norm sums thousands of rounded squares, so the allowance also grows with ε.
    allowed = ROUNDING * (1 + max((o["eps"] for o in observed), default=0.0))
    outside = max((max(-o["lowest"], o["highest"] - 1) for o in observed), default=0.0)
    changed = sum(not o["as_found"] for o in observed)
    return [
        _check(
            "model left as found",
            "pass" if changed == 0 else "fail",
            changed,
            "an attack changed the mode of the model: the attacked model is not the counted model",
            unit="attacks",
        ),
        _check(
            "perturbations within ε",
            "pass" if excess <= allowed else "fail",
            max(excess, 0.0),
            "the attack exceeded its budget, so its success rates are too high: do not use them",
            unit="beyond ε",
        ),
        _check(
            "pixels in [0, 1]",
            "pass" if outside <= 0 else "fail",
            max(outside, 0.0),
            "the attack left the pixel range, so its success rates are too high: do not use them",
            unit="outside",
        ),
        *_never_stronger(rows),
    ]


def model_checks(
    probes: Sequence[Probes],
    *,
    full: bool,
    ce_alone: bool,
    margins: Mapping[str, tuple[float, int]] = MappingProxyType({}),
) -> list[SanityCheck]:
    """The checks on the probed models.

    Args:
        probes: the measurements on each model.
        full: whether the run measures what ``--sanity full`` adds.
        ce_alone: whether all untargeted attacks of the run maximise cross-entropy.
        margins: for each model that the run itself attacked with both losses, by label: robust
            accuracy under cross-entropy minus that under the margin loss, and the number of images.
    """
    compared = [
        (p.model, *margins.get(p.model, (p.margin, p.images)))
        for p in probes
        if p.model in margins or p.margin is not None
    ]
    missing = next((p.square_missing for p in probes if p.square_missing), None)
    not_measured = missing if full else "measured only with --sanity full"
    return [
        *(
            _worst(rule, probes, figure, OF_VOTES if rule.of_one_pass else None)
            for rule, figure in PROBED
        ),
        _judged(
            CE_ALONE if ce_alone else MARGIN,
            [(model, 100 * float(gap or 0), 100 / images) for model, gap, images in compared],
            None,
        ),
        _worst(SQUARE, probes, lambda p: in_points(p.square), not_measured),
        _worst(TRANSFER, probes, lambda p: in_points(p.transfer), "it needs at least two models"),
    ]


def training_checks(histories: Sequence[TrainingHistory]) -> list[SanityCheck]:
    """The checks on the adversarial trainings behind the rows."""
    gaps = [(h.model, 100 * (max(h.pgd) - h.pgd[-1]), 0.0) for h in histories if h.pgd]
    return [_collapse(histories), _judged(OVERFIT, gaps, NO_TRAINING)]


def _collapse(histories: Sequence[TrainingHistory]) -> SanityCheck:
    """Catastrophic overfitting, by :func:`engine.training.overfitting.collapses`.

    A collapse fails the check if the attacked checkpoint is of that epoch or a later epoch. A
    checkpoint from before the collapse is sound, so then the collapse only warns.
    """
    name = "no catastrophic overfitting in training"
    judged = [h for h in histories if h.pgd and all(accuracy is not None for accuracy in h.fgsm)]
    if not judged:
        return _check(name, "skipped", None, NO_TRAINING)
    worst: tuple[Verdict, float, str] = ("pass", 0.0, judged[0].model)
    for history in judged:
        for epoch, fall in collapses(history.pgd, history.fgsm):
            verdict: Verdict = "fail" if history.checkpoint_epoch >= epoch else "warn"
            worst = max(worst, (verdict, 100 * fall, history.model), key=_severity)
    advice = (
        "PGD accuracy collapsed while FGSM accuracy rose: train with more steps, or with the noise "
        "of N-FGSM; checkpoints from before the collapse are sound"
    )
    return _check(name, *worst[:2], advice, model=worst[2])


def _severity(finding: tuple[Verdict, float, str]) -> tuple[int, float]:
    return VERDICTS.index(finding[0]), finding[1]


def _worst(
    rule: Rule,
    probes: Sequence[Probes],
    figure: Callable[[Probes], float | None],
    why_skipped: str | None = None,
) -> SanityCheck:
    """Judge ``figure`` of each model by ``rule``; a figure of None was not measured."""
    figures = [(p.model, figure(p), 100 * rule.images / p.images) for p in probes]
    measured = [(model, value, share) for model, value, share in figures if value is not None]
    return _judged(rule, measured, why_skipped)


def _judged(
    rule: Rule, figures: Sequence[tuple[str, float, float]], why_skipped: str | None
) -> SanityCheck:
    """Judge the worst of the figures. Each is (model, figure, tolerance), in the unit of ``rule``.

    Without figures the check is skipped; ``why_skipped`` is then its advice.
    """
    if not figures:
        advice = why_skipped or "no image is classified correctly, or every ε is 0"
        return _check(rule.check, "skipped", None, advice, unit=rule.unit)
    sign = -1 if rule.least else 1
    model, value, tolerance = max(figures, key=lambda figure: _comparable(sign * figure[1]))
    slack = tolerance + 1e-9
    verdict: Verdict
    if sign * value <= sign * rule.passes + slack:
        verdict = "pass"
    else:  # NaN is within no limit
        verdict = "warn" if sign * value <= sign * rule.warns + slack else "fail"
    return _check(rule.check, verdict, value, rule.advice, unit=rule.unit, model=model)


def _comparable(value: float) -> float:
    """NaN as infinity: the worst figure."""
    return math.inf if math.isnan(value) else value


def _never_stronger(rows: Sequence[Row]) -> list[SanityCheck]:
    """The targeted PGD against the untargeted PGD; empty where the run has not both."""
    gaps = [
        targeted["success_rate"] - untargeted["success_rate"]
        for row in rows
        if {"pgd-targeted", "pgd-untargeted"} <= row["attacks"].keys() and row.get("correct_k")
        for targeted, untargeted in zip(
            row["attacks"]["pgd-targeted"], row["attacks"]["pgd-untargeted"], strict=True
        )
        if targeted["success_rate"] is not None and untargeted["success_rate"] is not None
    ]
    if not gaps:
        return []
    return [
        _check(
            "targeted success ≤ untargeted success",
            "pass" if max(gaps) <= 0 else "fail",
            100 * max(gaps),
            "reaching a given class is harder than leaving the right class: the untargeted attack "
            "is too weak; raise its steps or restarts",
            unit="points",
        )
    ]


def _check(
    name: str,
    verdict: Verdict,
    value: float | None,
    advice: str,
    *,
    unit: str = "points",
    model: str | None = None,
) -> SanityCheck:
    finite = value if value is None or math.isfinite(value) else None
    return {
        "check": name,
        "verdict": verdict,
        "value": finite,
        "unit": unit,
        "model": model,
        "advice": None if verdict == "pass" else advice,
    }
