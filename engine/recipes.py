"""What training descends: a recipe is a pure function of (model, batch, spec) to a loss.

``images`` are float (N, 3, H, W) in [0, 1], ``labels`` int64 (N,); ``classes`` is their
number, ``noise`` the generator of the attack's random start. Each returns the scalar loss and the logits that it was taken from.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.pgd import pgd
from runs.spec import TrainSpec

Loss = tuple[Tensor, Tensor]
RecipeFunction = Callable[[nn.Module, Tensor, Tensor, TrainSpec, int, torch.Generator], Loss]


def standard(
    model: nn.Module, images: Tensor, labels: Tensor, spec: TrainSpec, classes: int, noise: torch.Generator
) -> Loss:
    """Cross-entropy on clean images: the baseline."""
    logits = model(images)
    return F.cross_entropy(logits.float(), labels, label_smoothing=spec.label_smoothing), logits


def pgd_at(
    model: nn.Module, images: Tensor, labels: Tensor, spec: TrainSpec, classes: int, noise: torch.Generator
) -> Loss:
    """Cross-entropy on untargeted adversarial images (Madry et al. 2018, equation 2.1)."""
    adversarial = pgd(model, images, labels, spec.attack, generator=noise, keep="last")
    return standard(model, adversarial, labels, spec, classes, noise)


def mixed(
    model: nn.Module, images: Tensor, labels: Tensor, spec: TrainSpec, classes: int, noise: torch.Generator
) -> Loss:
    """The poster's diagram: each batch is part clean, part targeted and part untargeted.

    The shares are ``mixed_clean``, ``mixed_targeted`` and what is left; batches are shuffled, so
    the parts are cut in order. Targets are uniform over the wrong classes.
    """
    clean = round(spec.mixed_clean * len(images))
    targeted = min(round(spec.mixed_targeted * len(images)), len(images) - clean)
    parts = (clean, targeted, len(images) - clean - targeted)
    calm, towards, away = images.split(parts)
    _, towards_labels, away_labels = labels.split(parts)
    offset = torch.randint(1, classes, (targeted,), generator=noise, device=noise.device)
    targets = (towards_labels + offset.to(labels.device)) % classes
    towards = pgd(
        model, towards, towards_labels, spec.attack, targets=targets, generator=noise, keep="last"
    )
    away = pgd(model, away, away_labels, spec.attack, generator=noise, keep="last")
    return standard(model, torch.cat([calm, towards, away]), labels, spec, classes, noise)


RECIPES: dict[str, RecipeFunction] = {"standard": standard, "pgd-at": pgd_at, "mixed": mixed}
