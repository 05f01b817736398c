"""The rules of the sanity panel: for each figure of a probed model its limits and the advice.

Knows nothing about how the figures are measured.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from engine.evaluation.sanity.probes import GREY, MORE_STEPS, Probes


class Rule(NamedTuple):
    """One check: the limits of its figure, and the advice beyond them.

    A figure up to ``passes`` passes, up to ``warns`` it warns, and a larger figure fails.
    """

    check: str
    """Its name in the panel."""
    passes: float
    warns: float
    advice: str
    unit: str = "points"
    """Of the figure and both limits; ``points`` are percentage points."""
    images: int = 0
    """Tolerance: the share of this many images is added to both limits, against chance."""
    of_one_pass: bool = False
    """Not measured where predictions are votes of several passes, which differ now and then."""
    least: bool = False
    """The limits are lower limits: the figure must be at least as large."""


def in_points(share: float | None) -> float | None:
    """A share in [0, 1] in percentage points; None stays None."""
    return None if share is None else 100 * share


def _gap(stronger: float | None, weaker: float | None) -> float | None:
    return None if stronger is None or weaker is None else weaker - stronger


def _order(probes: Probes) -> float | None:
    """By how many points FGSM is ahead of PGD, or noise of FGSM: the larger; None: not measured."""
    gaps = (_gap(probes.pgd, probes.fgsm), _gap(probes.fgsm, probes.noise))
    measured = [gap for gap in gaps if gap is not None]
    return in_points(max(measured)) if measured else None


NEVER = math.inf
"""As the limit ``warns``: the check never fails."""
PROBED: tuple[tuple[Rule, Callable[[Probes], float | None]], ...] = (
    (
        Rule(
            "model in eval mode",
            0,
            0,
            "some modules are in train mode, where BatchNorm and dropout compute something else: "
            "the model must obey eval()",
            unit="modules",
        ),
        lambda p: p.in_train_mode,
    ),
    (
        Rule(
            "the attack sees the accuracy that is counted",
            0,
            0,
            "the clean accuracy differs for the network that attacks use: check preprocessing, "
            "precision and mode",
            images=1,
        ),
        lambda p: in_points(p.accuracy_gap),
    ),
    (
        Rule(
            "same input, same logits",
            0.1,
            0.1,
            "the logits are random (dropout, noise), so that a single gradient is unreliable: "
            "attack the mean over the randomness with --eot 10 (Athalye et al. 2018)",
            unit="% of the largest",
            of_one_pass=True,
        ),
        lambda p: in_points(p.logit_change),
    ),
    (
        Rule(
            "logits, not probabilities",
            1,
            1,
            "the model ends in a softmax, which makes the gradients of cross-entropy vanish: "
            "remove the softmax",
            unit="% of the answers",
        ),
        lambda p: in_points(p.probabilities),
    ),
    (
        Rule(
            "input gradients are there",
            1,
            10,
            "gradients are zero or not finite: rounding, a non-differentiable step or saturated "
            "logits hide them; use the margin or DLR loss, and Square, which needs no gradients",
            unit="% lost",
        ),
        lambda p: in_points(p.lost_gradients),
    ),
    (
        Rule(
            "the attack climbs its loss",
            1e-6,
            1e-6,
            "the loss does not rise along the steps: check the step size, the gradients and the "
            "sign of the loss",
            unit="of loss",
            least=True,
        ),
        lambda p: p.loss_increase,
    ),
    (
        Rule(
            f"{MORE_STEPS}× the steps find no more",
            0.5,
            2,
            "the attack has not converged: raise --steps, or use APGD",
            images=1,
        ),
        lambda p: in_points(p.more_steps),
    ),
    (
        Rule(
            "robust accuracy falls as ε grows",
            0,
            0,
            "more images are robust at a larger ε: masked gradients mislead the attack; compare "
            "with Square (--sanity full)",
            images=1,
        ),
        lambda p: in_points(p.rise_with_eps),
    ),
    (
        Rule(
            "ε = 0 changes nothing",
            0,
            0,
            "an attack with ε = 0 changes predictions: the counting is wrong, or the logits are "
            "random (--eot 10)",
            of_one_pass=True,
        ),
        lambda p: in_points(p.change_at_zero),
    ),
    (
        Rule(
            f"ε = {GREY:g} leaves hardly any image",
            1,
            5,
            "every image can be made the same grey at this ε, yet some stay robust: gradient "
            "masking; compare with Square (--sanity full)",
            unit="% robust",
        ),
        lambda p: in_points(p.robust_at_grey),
    ),
    (
        Rule(
            "PGD ≥ FGSM ≥ random noise",
            0,
            0,
            "a weaker attack succeeds more often than a stronger attack: gradient masking "
            "(Athalye et al. 2018)",
            images=1,
        ),
        _order,
    ),
)
"""A rule, and the figure that it judges."""
MARGIN = Rule(
    "margin loss finds little beyond cross-entropy",
    4,
    NEVER,
    "cross-entropy is saturated: rely on the column of the stronger loss",
)
"""For a run whose untargeted attacks have another loss beside cross-entropy."""
CE_ALONE = MARGIN._replace(
    passes=0.5,
    advice="the margin loss is the stronger attack here: add --attack pgd-margin, or apgd-targeted",
)
"""For a run whose untargeted attacks all maximise cross-entropy."""
SQUARE = Rule(
    "Square finds nothing beyond white-box attacks",
    0.2,
    1,
    "an attack without gradients succeeds where cross-entropy, margin and targeted APGD fail: "
    "gradient masking",
)
TRANSFER = Rule(
    "transfer is no stronger than white-box",
    0,
    0,
    "adversarial images of another model fool this model more often than its own: its gradients "
    "are masked",
    images=1,
)
OVERFIT = Rule(
    "the last epoch is as robust as the best",
    2,
    NEVER,
    "robust overfitting (Rice et al. 2020): train for fewer epochs, or average the weights",
)
