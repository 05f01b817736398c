"""Seeded splits, balanced subsets and the order of an epoch. Knows no file and no model."""

import numpy as np
import torch
from torch import Tensor

from engine.data.pictures import Pictures
from engine.seeding import generator
from runs.errors import UserError


def stratified(labels: Tensor, per_class: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two sets of places, each ascending: ``per_class`` of each class at random, and the rest.

    Raises:
        UserError: a class has no more images than are asked for.
    """
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero().flatten()
        if len(members) <= per_class:
            raise UserError(
                f"{per_class} images a class were asked for, but class {label} has only "
                f"{len(members)}, and some must be left"
            )
        chosen[members[torch.randperm(len(members), generator=rng)[:per_class]]] = True
    return chosen.nonzero().flatten(), (~chosen).nonzero().flatten()


def split_validation(
    train: Pictures, per_class: int, seed: int, limit: int | None = None
) -> tuple[Pictures, Pictures]:
    """The training split as (training, validation), stratified and seeded; test stays unseen."""
    held_out, rest = stratified(train.labels, per_class, generator(seed, "validation split"))
    training = train.subset(rest)
    return (training if limit is None else balanced(training, limit)), train.subset(held_out)


def balanced(pictures: Pictures, limit: int) -> Pictures:
    """``limit`` images, nearly equally many a class; :func:`balanced_places` says which."""
    if limit >= len(pictures):
        return pictures
    places = balanced_places(pictures.labels.cpu(), limit)
    return pictures.subset(places.to(pictures.labels.device))


def balanced_places(labels: Tensor, limit: int) -> Tensor:
    """The first ``limit`` places in class order 0, 1, …, 0, 1, …; ascending, int64 (limit,).

    ``labels`` int64 (N,); with no more than ``limit`` of them these are all places.
    """
    seen: dict[int, int] = {}
    turn = []
    for label in labels.tolist():
        turn.append(seen.get(label, 0))
        seen[label] = turn[-1] + 1
    order = np.lexsort((labels.numpy(), np.array(turn)))
    return torch.from_numpy(np.sort(order[:limit]))


def epoch_order(length: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the training split."""
    return torch.randperm(length, generator=generator(seed, "order", epoch))
