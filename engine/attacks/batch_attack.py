"""One attack of an evaluation on one batch: targets, noise, the routine.

Sits between the routine and those who evaluate (the attack run, the validation of a training):
both attack in the same way.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.attacks.active_set import Step
from engine.attacks.apgd import apgd
from engine.attacks.pgd import pgd
from engine.seeding import derive, image_generators
from runs.threat_model import Attack

ROUTINES = {"pgd": pgd, "apgd": apgd}


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
    start: Tensor | None = None,
    on_step: Callable[[Step], object] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Attack a batch; return its adversarial images and their targets.

    The images are those of :func:`engine.attacks.pgd.pgd` with ``keep="best"``.

    ``logits`` are those of the clean images. The noise of an image depends on the seed and its
    index alone; ``start``, of the shape of ``images``, is where the first restart begins instead.
    With the targets ``all`` an image is aimed at one wrong class after the other, the
    likeliest first, until it is taken for one of them; its target is the last that was tried.
    """
    noise = image_generators(seed, "start", indices) if attack.pgd.random_start else None
    if attack.targets == "all":
        return _towards_all(model, images, labels, attack, logits, noise, start, on_step)
    targets = (
        None
        if attack.targets is None
        else choose_targets(attack.targets, labels, logits, indices, seed)
    )
    routine = ROUTINES[attack.method]
    adversarial = routine(
        model,
        images,
        labels,
        attack.pgd,
        targets=targets,
        generator=noise,
        start=start,
        on_step=on_step,
    )
    return adversarial, targets


def _towards_all(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    logits: Tensor,
    noise: list[torch.Generator] | None,
    start: Tensor | None,
    on_step: Callable[[Step], object] | None,
) -> tuple[Tensor, Tensor]:
    wrong = logits.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True)
    classes = min(attack.target_classes or logits.shape[1], logits.shape[1] - 1)
    points, targets = images.clone(), wrong[:, 0].clone()
    left = torch.arange(len(images), device=images.device)
    for rank in range(classes):
        if len(left) == 0:
            break
        aims = wrong[left, rank]
        fooled = torch.zeros(len(left), dtype=torch.bool, device=images.device)

        def note(
            step: Step, fooled: Tensor = fooled, places: Tensor = left, rank: int = rank
        ) -> None:
            fooled[step.indices] |= step.fooled
            if on_step:  # until the last class is tried none of those left is done with
                last = rank == classes - 1
                seen = places[step.indices] if last else places
                on_step(step._replace(images=images[seen], indices=seen))

        points[left] = ROUTINES[attack.method](
            model,
            images[left],
            labels[left],
            attack.pgd,
            targets=aims,
            generator=None if noise is None else [noise[n] for n in left.tolist()],
            start=None if start is None else start[left],
            on_step=note,
        )
        targets[left] = aims
        left = left[~fooled]
    return points, targets
