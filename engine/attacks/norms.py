"""Geometry of the ε-ball: random start, ascent direction, projection, for L∞, L2 and L1.

Images are float tensors of shape (N, …) in [0, 1]; ε is in the same units. Functions are pure, and
know nothing about models and losses.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class PartOfBatch(NamedTuple):
    """A source of random numbers for some images of a batch, that draws for the whole batch.

    So an image's numbers do not depend on which images are at hand.
    """

    generator: torch.Generator
    whole: int
    """Number of images of the whole batch."""
    places: slice
    """The places in it of the images at hand."""


Generators = torch.Generator | PartOfBatch | Sequence[torch.Generator]
"""Source of random numbers: one generator for a batch or a part of one, or one for each image. With
one for each image, its random start does not depend on the other images of its batch."""


class Geometry(Protocol):
    """The operations of an attack that depend on the norm."""

    def random_start(self, images: Tensor, eps: float, generator: Generators) -> Tensor:
        """A uniform point of the ε-ball around each image, clipped to [0, 1]."""

    def direction(self, gradient: Tensor) -> Tensor:
        """The direction of ascent, of length 1 in the norm: under L∞ and L2 the steepest."""

    def project(self, points: Tensor, images: Tensor, eps: float | Tensor) -> Tensor:
        """The nearest points within ε of the images, clipped to [0, 1]."""


class LInf:
    """max_i |δ_i| ≤ ε."""

    def random_start(self, images: Tensor, eps: float, generator: Generators) -> Tensor:
        uniform = draw(torch.rand, images, generator)
        return (images + eps * (2 * uniform - 1)).clamp_(0, 1)

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def project(self, points: Tensor, images: Tensor, eps: float | Tensor) -> Tensor:
        return points.clamp(images - eps, images + eps).clamp_(0, 1)


class L2:
    """(Σ_i δ_i²)^½ ≤ ε."""

    def random_start(self, images: Tensor, eps: float, generator: Generators) -> Tensor:
        # A Gaussian gives a uniform direction, U^(1/d) the radius of a uniform point of the ball.
        direction = self.direction(draw(torch.randn, images, generator))
        dimensions = math.prod(images.shape[1:])
        radius = draw(torch.rand, images.flatten(1)[:, :1], generator) ** (1 / dimensions)
        return (images + eps * per_image(radius.flatten(), images) * direction).clamp_(0, 1)

    def direction(self, gradient: Tensor) -> Tensor:
        # NaN counts as 0, as its sign does under L∞; an infinite entry counts as 0 too.
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        tiny = torch.finfo(gradient.dtype).tiny
        # Scaled to a largest entry of 1 first: squares of very small or very large gradients
        # underflow or overflow in float32.
        largest = gradient.abs().flatten(1).amax(dim=1).clamp_min(tiny)
        scaled = gradient / per_image(largest, gradient)
        length = scaled.flatten(1).norm(dim=1)
        return scaled / per_image(length.clamp_min(tiny), gradient)

    def project(self, points: Tensor, images: Tensor, eps: float | Tensor) -> Tensor:
        delta = points - images
        length = delta.flatten(1).norm(dim=1)
        shrink = (eps / length.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1)
        # Clipping moves each pixel towards the image, so the point stays in the ball.
        return (images + delta * per_image(shrink, delta)).clamp_(0, 1)


SPARSITY = 0.01
"""Share of the entries in which a step of PGD under L1 moves."""


class L1:
    """Σ_i |δ_i| ≤ ε.

    The steepest ascent under L1 changes one entry alone. A step of PGD therefore moves in the 1 %
    of the entries with the largest gradients, equally far in each: SLIDE (Tramèr & Boneh 2019).
    """

    def random_start(self, images: Tensor, eps: float, generator: Generators) -> Tensor:
        # Exponentials of random sign, divided by their sum, are uniform on the sphere of L1.
        uniform = 2 * draw(torch.rand, images, generator) - 1
        tiny = torch.finfo(images.dtype).tiny
        direction = unit_l1(-torch.log((1 - uniform.abs()).clamp_min(tiny)) * uniform.sign())
        dimensions = math.prod(images.shape[1:])
        radius = draw(torch.rand, images.flatten(1)[:, :1], generator) ** (1 / dimensions)
        return (images + eps * per_image(radius.flatten(), images) * direction).clamp_(0, 1)

    def direction(self, gradient: Tensor) -> Tensor:
        return sparse_direction(gradient, gradient.new_full((len(gradient),), SPARSITY))

    def project(self, points: Tensor, images: Tensor, eps: float | Tensor) -> Tensor:
        """The nearest points of the ball and of [0, 1] together (Croce & Hein 2021, prop. 2.1).

        The nearest point is x + sign(δ)·min((|δ| − λ)⁺, r), where r is the room up to the border
        of [0, 1] and λ ≥ 0 the least number that keeps the budget. Clipping the nearest point of
        the ball instead would waste budget on entries that are clipped.
        """
        delta = (points - images).double().flatten(1)
        x = images.double().flatten(1)
        size = delta.abs()
        room = torch.where(delta > 0, 1 - x, x)
        # The length over λ is piecewise linear: from |δ| − r on an entry shrinks, from |δ| on it
        # is 0. Between two of these numbers the slope is the number of entries that shrink.
        begins, ends = (size - room).clamp_min(0), size
        knots, order = torch.cat([begins, ends], dim=1).sort(dim=1)
        shrinking = torch.where(order < size.shape[1], 1.0, -1.0).double().cumsum(dim=1)
        whole = torch.minimum(size, room).sum(dim=1, keepdim=True)
        falls = (shrinking[:, :-1] * knots.diff(dim=1)).cumsum(dim=1)
        lengths = torch.cat([whole, whole - falls], dim=1)
        # The last knot whose length is above ε: λ lies between it and the next.
        last = ((lengths > eps).sum(dim=1, keepdim=True) - 1).clamp_min(0)
        slope = shrinking.gather(1, last).clamp_min(1)
        multiplier = knots.gather(1, last) + (lengths.gather(1, last) - eps) / slope
        multiplier = torch.where(whole > eps, multiplier, 0)
        kept = torch.minimum((size - multiplier).clamp_min(0), room) * delta.sign()
        # What needs no projection stays as it is, to the last bit.
        inside = (whole <= eps) & (size <= room)
        projected = (x + kept).clamp(0, 1).to(points.dtype)
        # Thousands of roundings to float32 add up: round towards the image, to keep the budget.
        beyond = (projected - x).abs() > kept.abs()
        projected = torch.where(
            beyond, torch.nextafter(projected, images.flatten(1).to(points.dtype)), projected
        )
        return torch.where(inside, points.flatten(1), projected).view_as(points)


def sparse_direction(gradient: Tensor, share: Tensor) -> Tensor:
    """The signs of each image's largest gradients, divided by their number: of L1 length 1.

    Args:
        gradient: (N, …); entries that are NaN or infinite count as 0.
        share: (N,), in (0, 1]: of its entries, at least one.
    """
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    sizes = gradient.abs().flatten(1)
    count = (share * sizes.shape[1]).ceil().long().clamp(1, sizes.shape[1])
    least = sizes.sort(dim=1, descending=True).values.gather(1, count[:, None] - 1)
    return unit_l1(gradient.sign() * (sizes >= least).view_as(gradient))


def unit_l1(gradient: Tensor) -> Tensor:
    """Each image's gradient divided by its L1 norm; entries that are NaN or infinite count as 0."""
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    length = gradient.abs().flatten(1).sum(dim=1)
    return gradient / per_image(length.clamp_min(torch.finfo(gradient.dtype).tiny), gradient)


GEOMETRIES: dict[str, Geometry] = {"linf": LInf(), "l2": L2(), "l1": L1()}
"""By :attr:`runs.threat_model.PGD.norm`."""


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """One value for each image, (N,), as (N, 1, …) with the dimensions of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))


def draw(sample, like: Tensor, generator: Generators) -> Tensor:  # type: ignore[no-untyped-def]
    """A sample of ``torch.rand`` or ``torch.randn``, of the shape, dtype and device of ``like``.

    Raises:
        ValueError: the number of generators is not the number of images.
    """
    if isinstance(generator, torch.Generator):
        drawn = sample(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    elif isinstance(generator, PartOfBatch):
        source, shape = generator.generator, (generator.whole, *like.shape[1:])
        drawn = sample(shape, generator=source, dtype=like.dtype, device=source.device)
        drawn = drawn[generator.places]
    else:
        if len(generator) != len(like):
            raise ValueError(
                f"{len(generator)} generators for {len(like)} images: pass one generator for each "
                "image, or a single one for the batch"
            )
        drawn = torch.stack(
            [
                sample(like.shape[1:], generator=g, dtype=like.dtype, device=g.device)
                for g in generator
            ]
        )
    return drawn.to(like.device)  # type: ignore[no-any-return]
