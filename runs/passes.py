"""The number of passes through a network that a training, a validation or an attack needs.

Pure, from a spec. Knows nothing about FLOPs, devices and time. A spec is read by its fields alone,
so that a reader need not validate it.
"""

import sys
from typing import TYPE_CHECKING, NamedTuple, assert_never

from runs.datasets import DATASETS

if TYPE_CHECKING:  # a list of runs needs no validation, and so no pydantic
    from runs.spec import TrainSpec
    from runs.threat_model import Attack


class PassCounts(NamedTuple):
    """Numbers of passes through the network for one image, by the kind of pass."""

    forward: float
    """Forward alone."""
    attack: float
    """Forward and the gradient of the input."""
    descent: float
    """Forward and the gradients of all weights."""


ACTIVE_SHARE = 0.3
"""Share of the passes of an attack that remain with an active set, in an evaluation. Measured on
the attacks of the ``cpu`` study's table, over three models, targeted and untargeted."""


def validation_passes(spec: "TrainSpec") -> PassCounts:
    """Passes of an image in the validation after an epoch: clean, PGD and FGSM."""
    return PassCounts(3, (spec.validation.steps * spec.validation.restarts + 2) * ACTIVE_SHARE, 0)


def passes(spec: "TrainSpec") -> PassCounts:
    """Passes of an image in one training step of the recipe, averaged over a batch."""
    steps = spec.attack.steps * spec.attack.restarts
    match spec.recipe:
        case "standard":
            counts = PassCounts(0, 0, 1)
        case "pgd-at":
            counts = PassCounts(0, steps, 1)
        case "mixed":
            counts = PassCounts(0, steps * (1 - spec.mixed_clean), 1)
        case "trades":  # one more forward pass of the clean image, in eval mode
            counts = PassCounts(1, steps, 2)
        case "mart":
            counts = PassCounts(0, steps, 2)
        case "fast":
            counts = PassCounts(0, 1, 1)
        case other:
            assert_never(other)
    # AWP computes the same loss once more, to find the worst weights.
    return counts._replace(descent=counts.descent * (2 if spec.awp_gamma else 1))


def epoch_images(spec: "TrainSpec") -> tuple[int, int]:
    """The numbers of images that an epoch trains on, and that its validation classifies.

    Raises:
        KeyError: the data set has no name.
    """
    dataset = DATASETS[spec.data]
    held_out = spec.val_per_class * dataset.classes
    images = min(dataset.train_images - held_out, spec.train_limit or sys.maxsize)
    return images - images % spec.batch_size, held_out


AUTOATTACK_STEPS = 100 + 9 * 100 + 9 * 100
"""Steps of AutoAttack's stages with gradients: APGD-CE, APGD-T and FAB-T, 9 targets each."""
SQUARE_QUERIES = 5000
"""Forward passes of AutoAttack's last stage, Square."""


def attack_passes(attack: "Attack") -> PassCounts:
    """Passes of an image that an attack of an evaluation needs at one ε, with an active set."""
    if attack.method == "autoattack":
        return PassCounts(3 + SQUARE_QUERIES * ACTIVE_SHARE, AUTOATTACK_STEPS * ACTIVE_SHARE, 0)
    steps = attack.pgd.steps * attack.pgd.restarts
    if attack.targets == "all":
        steps *= attack.target_classes or 9
    return PassCounts(3, steps * ACTIVE_SHARE, 0)


PROBE_ATTACKS = 9
"""Attacks of the sanity panel on a model, in units of the probed attack; see the probes."""
PROBED_IMAGES = {"quick": 50, "full": 1000}
"""Number of test images that the sanity panel probes, by its depth."""


def panel_passes(attack: "Attack", *, full: bool) -> PassCounts:
    """Passes of a probed image in the sanity panel; ``full`` adds targeted APGD and Square."""
    attacked = PROBE_ATTACKS * attack.pgd.steps * attack.pgd.restarts + (900 if full else 0)
    forward = 10 + (SQUARE_QUERIES * ACTIVE_SHARE if full else 0)
    return PassCounts(forward, attacked * ACTIVE_SHARE, 0)
