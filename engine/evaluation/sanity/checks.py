"""Is this evaluation to be believed? Checks on what an evaluation has observed of itself.

After Carlini et al. (2019), Athalye et al. (2018), Pintor et al. (2022) and the flags of AutoAttack
(Croce & Hein 2020). Each check is ``{"check", "verdict": "pass" | "warn" | "fail" | "skipped",
"value", "unit", "model", "advice"}``: the worst figure of all models, and whose it is. Knows no
model; it judges figures.
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
from runs.result_types import Row, SanityCheck, Verdict

ROUNDING = 1e-6
"""Largest rounding of float32 pixels in [0, 1] that is not held against a budget."""
NO_TRAINING = "no adversarial training among the rows has recorded it"
VERDICTS = ("skipped", "pass", "warn", "fail")


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


@dataclass(frozen=True)
class TrainingHistory:
    """Validation figures of an adversarial training, an epoch each; shares in [0, 1]."""

    model: str
    kept: int
    """The epoch of the checkpoint that is attacked."""
    pgd: Sequence[float]
    fgsm: Sequence[float | None]


def attack_checks(observed: Sequence[Observed], rows: Sequence[Row]) -> list[SanityCheck]:
    """What the attacks of the run themselves have shown."""
    excess = max((o.largest - o.eps for o in observed), default=0.0)
    # An L2 norm sums thousands of rounded squares, hence relative as well.
    allowed = ROUNDING * (1 + max((o.eps for o in observed), default=0.0))
    outside = max((max(-o.lowest, o.highest - 1) for o in observed), default=0.0)
    changed = sum(not o.as_found for o in observed)
    return [
        _check(
            "model left as found",
            "pass" if changed == 0 else "fail",
            changed,
            "an attack changed the model's mode: what was attacked is not what was counted",
            unit="attacks",
        ),
        _check(
            "perturbations within ε",
            "pass" if excess <= allowed else "fail",
            max(excess, 0.0),
            "the attack left its budget: its figures are too strong",
            unit="beyond ε",
        ),
        _check(
            "pixels in [0, 1]",
            "pass" if outside <= 0 else "fail",
            max(outside, 0.0),
            "the attack left the range of pictures: its figures are too strong",
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
    """What probing the models has shown.

    Args:
        probes: one for each model.
        full: whether the checks of ``--sanity full`` were asked for.
        ce_alone: whether no untargeted attack of the run climbs anything but cross-entropy.
        margins: by model, where the run itself has attacked with both: robust accuracy under
            cross-entropy minus that under the margin loss, and over how many images.
    """
    compared = [
        (p.model, *margins.get(p.model, (p.margin, p.images)))
        for p in probes
        if p.model in margins or p.margin is not None
    ]
    missing = next((p.square_missing for p in probes if p.square_missing), None)
    unasked = missing if full else "--sanity full asks for it"
    return [
        *(_worst(rule, probes, figure) for rule, figure in PROBED),
        _judged(
            CE_ALONE if ce_alone else MARGIN,
            [(model, 100 * float(gap or 0), 100 / images) for model, gap, images in compared],
            None,
        ),
        _worst(SQUARE, probes, lambda p: in_points(p.square), unasked),
        _worst(TRANSFER, probes, lambda p: in_points(p.transfer), "one model has nothing to take"),
    ]


def training_checks(histories: Sequence[TrainingHistory]) -> list[SanityCheck]:
    """Judge the adversarial trainings behind the rows."""
    gaps = [(h.model, 100 * (max(h.pgd) - h.pgd[-1]), 0.0) for h in histories if h.pgd]
    return [_collapse(histories), _judged(OVERFIT, gaps, NO_TRAINING)]


def _collapse(histories: Sequence[TrainingHistory]) -> SanityCheck:
    """Catastrophic overfitting, by :func:`engine.training.overfitting.collapses`.

    A checkpoint from before the collapse is sound: a warning, not a failure.
    """
    name = "no catastrophic overfitting in training"
    judged = [h for h in histories if h.pgd and all(accuracy is not None for accuracy in h.fgsm)]
    if not judged:
        return _check(name, "skipped", None, NO_TRAINING)
    worst: tuple[Verdict, float, str] = ("pass", 0.0, judged[0].model)
    for history in judged:
        for epoch, fall in collapses(history.pgd, history.fgsm):
            verdict: Verdict = "fail" if history.kept >= epoch else "warn"
            worst = max(worst, (verdict, 100 * fall, history.model), key=_severity)
    advice = (
        "PGD accuracy collapsed while FGSM's rose: train with more steps or N-FGSM's noise; "
        "checkpoints from before the collapse are sound"
    )
    return _check(name, *worst[:2], advice, model=worst[2])


def _severity(finding: tuple[Verdict, float, str]) -> tuple[int, float]:
    return VERDICTS.index(finding[0]), finding[1]


def _worst(
    rule: Rule,
    probes: Sequence[Probes],
    figure: Callable[[Probes], float | None],
    unmeasured: str | None = None,
) -> SanityCheck:
    figures = [(p.model, figure(p), 100 * rule.images / p.images) for p in probes]
    known = [(model, value, chance) for model, value, chance in figures if value is not None]
    return _judged(rule, known, unmeasured)


def _judged(
    rule: Rule, figures: Sequence[tuple[str, float, float]], unmeasured: str | None
) -> SanityCheck:
    """Judge the worst of the figures: (model, figure, what is left to chance)."""
    if not figures:
        advice = unmeasured or "no image is classified correctly, or every ε is 0"
        return _check(rule.check, "skipped", None, advice, unit=rule.unit)
    sign = -1 if rule.least else 1
    model, value, chance = max(figures, key=lambda finding: _comparable(sign * finding[1]))
    slack = chance + 1e-9
    verdict: Verdict
    if sign * value <= sign * rule.passes + slack:
        verdict = "pass"
    else:  # NaN is within no limit
        verdict = "warn" if sign * value <= sign * rule.warns + slack else "fail"
    return _check(rule.check, verdict, value, rule.advice, unit=rule.unit, model=model)


def _comparable(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _never_stronger(rows: Sequence[Row]) -> list[SanityCheck]:
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
            "reaching one class is harder than leaving one: the untargeted attack is too weak",
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
