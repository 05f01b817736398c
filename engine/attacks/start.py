"""The beginning of an attack: checks its arguments and gives each image its starting point.

Knows nothing about models and losses.
"""

from torch import Tensor

from engine.attacks.norms import GEOMETRIES, Generators
from runs.threat_model import PGD


def check_arguments(
    images: Tensor, labels: Tensor, targets: Tensor | None, spec: PGD, generator: Generators | None
) -> None:
    """Refuse arguments that an attack can't begin with.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    if len(labels) != len(images) or (targets is not None and len(targets) != len(images)):
        lengths = f"{len(images)} images, {len(labels)} labels"
        lengths += "" if targets is None else f", {len(targets)} targets"
        raise ValueError(f"images, labels and targets must have the same length, not {lengths}")
    if spec.random_start and generator is None:
        raise ValueError("a random start needs a generator: pass one, or set random_start to false")


def first_points(
    images: Tensor, spec: PGD, generator: Generators | None, start: Tensor | None, restart: int
) -> Tensor:
    """x⁰ of all images, (N, 3, H, W): the given start, a random point of the ball, or the image.

    ``start`` holds for the restart 0 alone. Random points are drawn for the whole batch, before any
    image leaves it.
    """
    geometry = GEOMETRIES[spec.norm]
    if start is not None and restart == 0:
        return geometry.project(start.detach().to(images), images, spec.eps)
    if spec.random_start:
        assert generator is not None
        return geometry.random_start(images, spec.eps, generator)
    return images.clone()  # one tensor as two arguments would make a compiled step compile again
