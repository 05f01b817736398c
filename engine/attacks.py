"""One attack of an evaluation on one batch: targets, noise, PGD.

Sits between the routine and those who evaluate (the attack run, the validation of a training):
both attack in the same way.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.pgd import Step, pgd
from engine.randomness import derive, image_generators
from runs.spec import Attack


def choose_targets(
    rule: str, labels: Tensor, logits: Tensor, indices: list[int], seed: int
) -> Tensor:
    """A class other than the label for each image, int64 (N,).

    Args:
        rule: ``random`` (uniform over the wrong classes, a function of seed and image index
            alone), ``least-likely``, ``runner-up`` (the likeliest wrong class) or ``next``.
        labels: int64 (N,).
        logits: (N, classes), of the clean images.
        indices: the images' places in their split.
        seed: seed of the random rule.
    """
    classes = logits.shape[1]
    if rule == "next":
        return (labels + 1) % classes
    if rule == "random":
        offsets = [1 + derive(seed, "target", index) % (classes - 1) for index in indices]
        return (labels + torch.tensor(offsets, dtype=torch.int64, device=labels.device)) % classes
    if rule == "least-likely":
        return logits.scatter(1, labels[:, None], torch.inf).argmin(dim=1)
    return logits.scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


def attack_batch(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    indices: list[int],
    attack: Attack,
    *,
    logits: Tensor,
    seed: int,
    on_step: Callable[[Step], object] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Adversarial images (as :func:`engine.pgd.pgd` with ``keep="best"``) and their targets.

    ``logits`` are those of the clean images. The noise of an image depends on the seed and its
    index alone.
    """
    targets = (
        None
        if attack.targets is None
        else choose_targets(attack.targets, labels, logits, indices, seed)
    )
    noise = image_generators(seed, "start", indices) if attack.pgd.random_start else None
    adversarial = pgd(
        model, images, labels, attack.pgd, targets=targets, generator=noise, on_step=on_step
    )
    return adversarial, targets
