"""Seeded splits, balanced subsets and the order of an epoch.

Knows nothing about files and models.
"""

import numpy as np
import torch
from torch import Tensor

from engine.data.pictures import Pictures
from engine.seeding import generator
from runs.errors import UserError


def stratified(labels: Tensor, per_class: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split places into ``per_class`` random ones of each class, and all others.

    Args:
        labels: int64 (N,), on the CPU.
        per_class: number of places of each class in the first part.
        rng: a generator on the CPU.

    Returns:
        Both parts, int64, each ascending.

    Raises:
        UserError: a class has ``per_class`` images or fewer.
    """
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero().flatten()
        if len(members) <= per_class:
            raise UserError(
                f"{per_class} images of each class can't be held out: class {label} has only "
                f"{len(members)}; choose a smaller number"
            )
        chosen[members[torch.randperm(len(members), generator=rng)[:per_class]]] = True
    return chosen.nonzero().flatten(), (~chosen).nonzero().flatten()


def split_validation(
    train: Pictures, per_class: int, seed: int, limit: int | None = None
) -> tuple[Pictures, Pictures]:
    """The official training split as (training, validation), stratified and seeded.

    The validation split has ``per_class`` images of each class. ``limit``: use at most so many
    images for training, balanced over the classes.

    Raises:
        UserError: a class has ``per_class`` images or fewer.
    """
    held_out, remaining = stratified(train.labels, per_class, generator(seed, "validation split"))
    training = train.subset(remaining)
    return (training if limit is None else balanced(training, limit)), train.subset(held_out)


def balanced(pictures: Pictures, limit: int) -> Pictures:
    """At most ``limit`` images, those of :func:`balanced_places`."""
    if limit >= len(pictures):
        return pictures
    places = balanced_places(pictures.labels.cpu(), limit)
    return pictures.subset(places.to(pictures.labels.device))


def balanced_places(labels: Tensor, limit: int) -> Tensor:
    """``limit`` places with nearly equal numbers of each class; ascending, int64 (limit,).

    They are the first image of each class 0, 1, …, then the second of each, and so on. ``labels``
    is int64 (N,), on the CPU; with N ≤ ``limit`` all N places are returned.
    """
    counts: dict[int, int] = {}
    ranks = []  # how many images of the same class come before an image
    for label in labels.tolist():
        ranks.append(counts.get(label, 0))
        counts[label] = ranks[-1] + 1
    order = np.lexsort((labels.numpy(), np.array(ranks)))
    return torch.from_numpy(np.sort(order[:limit]))


def epoch_order(length: int, seed: int, epoch: int) -> Tensor:
    """The order of the training split in an epoch: a seeded permutation, int64 (length,)."""
    return torch.randperm(length, generator=generator(seed, "order", epoch))
