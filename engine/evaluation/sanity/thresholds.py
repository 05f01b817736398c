"""The sanity panel's rules for probed models: a figure each, its limits, and what to do beyond."""

import math
from collections.abc import Callable
from typing import NamedTuple

from engine.evaluation.sanity.probes import GREY, MORE_STEPS, Probes


class Rule(NamedTuple):
    """One check: up to which figure, in ``unit``, it passes and warns; beyond, it fails."""

    check: str
    passes: float
    warns: float
    advice: str
    unit: str = "points"
    images: int = 0
    """So many images more than the limits are held against nobody: chance."""
    least: bool = False
    """The figure must be above the limits, not below."""


def in_points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _gap(stronger: float | None, weaker: float | None) -> float | None:
    return None if stronger is None or weaker is None else weaker - stronger


def _order(probes: Probes) -> float | None:
    gaps = (_gap(probes.pgd, probes.fgsm), _gap(probes.fgsm, probes.noise))
    known = [gap for gap in gaps if gap is not None]
    return in_points(max(known)) if known else None


NEVER = math.inf
PROBED: tuple[tuple[Rule, Callable[[Probes], float | None]], ...] = (
    (
        Rule(
            "model in eval mode",
            0,
            0,
            "modules in train mode: BatchNorm and dropout answer otherwise than in use; the "
            "model must obey eval()",
            unit="modules",
        ),
        lambda p: p.in_train_mode,
    ),
    (
        Rule(
            "the attack sees the accuracy that is counted",
            0,
            0,
            "clean accuracy differs on the attack's path: look at preprocessing, precision, mode",
            images=1,
        ),
        lambda p: in_points(p.path_gap),
    ),
    (
        Rule(
            "same input, same logits",
            0.1,
            0.1,
            "the model answers at random (dropout, noise), so that one gradient tells little: "
            "attack the mean over its randomness (Athalye et al. 2018)",
            unit="% of the largest",
        ),
        lambda p: in_points(p.wobble),
    ),
    (
        Rule(
            "logits, not probabilities",
            1,
            1,
            "the model ends in a softmax, on which cross-entropy has vanishing gradients: leave "
            "the softmax out",
            unit="% of the answers",
        ),
        lambda p: in_points(p.distributions),
    ),
    (
        Rule(
            "input gradients are there",
            1,
            10,
            "zero or no numbers: rounding, a non-differentiable step or saturation hides them; "
            "use the margin or DLR loss, and Square, which needs none",
            unit="% lost",
        ),
        lambda p: in_points(p.lost_gradients),
    ),
    (
        Rule(
            "the attack climbs its loss",
            1e-6,
            1e-6,
            "the loss does not rise along the steps: step size, gradients or sign are wrong",
            unit="of loss",
            least=True,
        ),
        lambda p: p.climb,
    ),
    (
        Rule(
            f"{MORE_STEPS}× the steps find no more",
            0.5,
            2,
            "the attack has not converged: raise --steps, or use APGD",
            images=1,
        ),
        lambda p: in_points(p.late),
    ),
    (
        Rule(
            "robust accuracy falls as ε grows",
            0,
            0,
            "a larger ε leaves more images robust: the attack is lost in masked gradients",
            images=1,
        ),
        lambda p: in_points(p.rise),
    ),
    (
        Rule(
            "ε = 0 changes nothing",
            0,
            0,
            "an attack that may change nothing changes the outcome: counting is wrong, or the "
            "model answers at random",
        ),
        lambda p: in_points(p.at_zero),
    ),
    (
        Rule(
            f"ε = {GREY:g} leaves hardly any image",
            1,
            5,
            "every image can be made grey there, and still some withstand: gradient masking",
            unit="% robust",
        ),
        lambda p: in_points(p.at_grey),
    ),
    (
        Rule(
            "PGD ≥ FGSM ≥ random noise",
            0,
            0,
            "a weaker attack finds more than a stronger one: gradient masking (Athalye et al. "
            "2018)",
            images=1,
        ),
        _order,
    ),
)
MARGIN = Rule(
    "margin loss finds little beyond cross-entropy",
    4,
    NEVER,
    "cross-entropy is saturated: believe the column of the stronger loss",
)
CE_ALONE = MARGIN._replace(
    passes=0.5,
    advice="the margin loss is the stronger attack here: add --attack pgd-margin, or apgd-targeted",
)
SQUARE = Rule(
    "Square finds nothing beyond white-box attacks",
    0.2,
    1,
    "an attack without gradients finds what cross-entropy, margin and targeted APGD have missed: "
    "gradient masking",
)
TRANSFER = Rule(
    "transfer is no stronger than white-box",
    0,
    0,
    "images crafted on another model fool this one better than its own: its gradients are masked",
    images=1,
)
OVERFIT = Rule(
    "the last epoch is as robust as the best",
    2,
    NEVER,
    "robust overfitting (Rice et al. 2020): train shorter, or with weight averaging",
)
