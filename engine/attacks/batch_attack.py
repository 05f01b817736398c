"""One attack of an evaluation on one batch: chooses targets and generators, calls PGD or APGD.

Attack runs and the validation of a training both attack through :func:`attack_batch`, and so in the
same way. The module knows nothing about data sets or about what is counted.
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
"""By :attr:`runs.threat_model.Attack.method`."""


def choose_targets(
    rule: str, labels: Tensor, logits: Tensor, indices: list[int], seed: int
) -> Tensor:
    """A class other than the label for each image, int64 (N,).

    Args:
        rule: ``random`` (uniform over the wrong classes, a function of seed and image index
            alone), ``least-likely``, ``runner-up`` (the likeliest wrong class) or ``next``.
        labels: int64 (N,).
        logits: (N, classes), of the clean images.
        indices: the places of the images in their split.
        seed: seed of the rule ``random``.
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
    """Attack a batch; return its adversarial images and their targets, int64 (N,).

    The adversarial images are those of :func:`engine.attacks.pgd.pgd` with ``keep="best"``; the
    targets are None in an untargeted attack. With the target rule ``all`` an image is attacked
    towards one wrong class after the other, the likeliest first, until the model classifies it as
    the target; the returned target is the last one tried.

    Args:
        model: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes).
        images: (N, 3, H, W), floating point, in [0, 1].
        labels: (N,), int64.
        indices: the places of the images in their split. The random start of an image
            depends on the seed and its index alone.
        attack: method, target rule and settings of PGD.
        logits: (N, classes), of the clean images.
        seed: seed of random starts and random targets.
        start: of the shape of ``images``; the first restart begins at this point, projected onto
            the ball, instead of at a random point or at the image.
        on_step: called once for each point that the model has classified.
    """
    generators = image_generators(seed, "start", indices) if attack.pgd.random_start else None
    if attack.targets == "all":
        return _towards_all(model, images, labels, attack, logits, generators, start, on_step)
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
        generator=generators,
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
    generators: list[torch.Generator] | None,
    start: Tensor | None,
    on_step: Callable[[Step], object] | None,
) -> tuple[Tensor, Tensor]:
    wrong = logits.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True)
    classes = min(attack.target_classes or logits.shape[1], logits.shape[1] - 1)
    points, targets = images.clone(), wrong[:, 0].clone()
    active = torch.arange(len(images), device=images.device)
    for rank in range(classes):
        if len(active) == 0:
            break
        active_targets = wrong[active, rank]
        fooled = torch.zeros(len(active), dtype=torch.bool, device=images.device)

        def note(
            step: Step, fooled: Tensor = fooled, places: Tensor = active, rank: int = rank
        ) -> None:
            fooled[step.indices] |= step.fooled
            if on_step:  # before the last class every image counts as still attacked
                is_last = rank == classes - 1
                attacked = places[step.indices] if is_last else places
                on_step(step._replace(images=images[attacked], indices=attacked))

        points[active] = ROUTINES[attack.method](
            model,
            images[active],
            labels[active],
            attack.pgd,
            targets=active_targets,
            generator=None if generators is None else [generators[n] for n in active.tolist()],
            start=None if start is None else start[active],
            on_step=note,
        )
        targets[active] = active_targets
        active = active[~fooled]
    return points, targets
