"""What training descends: a recipe is a pure function of (model, batch, setting) to a loss.

``images`` are float (N, 3, H, W) in [0, 1], ``labels`` int64 (N,). Each recipe returns the scalar
loss and the logits that it was taken from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.pgd import pgd
from runs.spec import TrainSpec


@dataclass(frozen=True)
class Setting:
    """What a recipe needs beside the model and the batch."""

    spec: TrainSpec
    classes: int
    attacked: nn.Module
    """The network that the attack looks at: the model, or a cheaper one of the same function."""
    noise: torch.Generator
    """Randomness of this batch's attacks."""


Loss = tuple[Tensor, Tensor]
Recipe = Callable[[nn.Module, Tensor, Tensor, Setting], Loss]


def standard(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on clean images: the baseline."""
    logits = model(images)
    smoothing = setting.spec.label_smoothing
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing), logits


def pgd_at(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on untargeted adversarial images (Madry et al. 2018, equation 2.1)."""
    adversarial = _craft(images, labels, setting)
    return standard(model, adversarial, labels, setting)


def mixed(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """The poster's diagram: each batch is part clean, part targeted and part untargeted.

    The shares are ``mixed_clean``, ``mixed_targeted`` and what is left; batches are shuffled, so
    the parts are cut in order. Targets are uniform over the wrong classes.
    """
    clean = round(setting.spec.mixed_clean * len(images))
    targeted = min(round(setting.spec.mixed_targeted * len(images)), len(images) - clean)
    sizes = [clean, targeted, len(images) - clean - targeted]
    calm, towards, away = torch.split(images, sizes)
    _, towards_labels, away_labels = torch.split(labels, sizes)
    noise = setting.noise
    offset = torch.randint(1, setting.classes, (targeted,), generator=noise, device=noise.device)
    targets = (towards_labels + offset.to(labels.device)) % setting.classes
    towards = _craft(towards, towards_labels, setting, targets)
    away = _craft(away, away_labels, setting)
    return standard(model, torch.cat([calm, towards, away]), labels, setting)


def _craft(
    images: Tensor, labels: Tensor, setting: Setting, targets: Tensor | None = None
) -> Tensor:
    return pgd(
        setting.attacked,
        images,
        labels,
        setting.spec.attack,
        targets=targets,
        generator=setting.noise,
        keep="last",
    )


RECIPES: dict[str, Recipe] = {"standard": standard, "pgd-at": pgd_at, "mixed": mixed}
