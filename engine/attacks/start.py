"""What an attack begins with: checked arguments, and the starting point of each image."""

from torch import Tensor

from engine.attacks.norms import GEOMETRIES, Noise
from runs.threat_model import PGD


def check_arguments(
    images: Tensor, labels: Tensor, targets: Tensor | None, spec: PGD, generator: Noise | None
) -> None:
    """What an attack can't begin with.

    Raises:
        ValueError: a random start without a generator, or shapes that don't fit.
    """
    if len(labels) != len(images) or (targets is not None and len(targets) != len(images)):
        raise ValueError("images, labels and targets must have the same length")
    if spec.random_start and generator is None:
        raise ValueError("a random start needs a generator")


def first_points(
    images: Tensor, spec: PGD, generator: Noise | None, start: Tensor | None, restart: int
) -> Tensor:
    """x⁰ of all images, (N, 3, H, W): the given start, a random point of the ball, or the image.

    Drawn at full shape, before any image leaves.
    """
    geometry = GEOMETRIES[spec.norm]
    if start is not None and restart == 0:
        return geometry.project(start.detach().to(images), images, spec.eps)
    if spec.random_start:
        assert generator is not None
        return geometry.random_start(images, spec.eps, generator)
    return images.clone()  # a compiled step knows whether two arguments are one
