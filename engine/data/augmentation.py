"""Augmentation of a batch of uint8 images on their device.

Knows nothing about data sets and labels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import TrivialAugmentWide

from engine.data.pictures import to_device

CROP_PADDING = 4
"""Pixels that an image is padded by on each side before the crop."""
IMAGES_PER_OPERATION = 8
"""Neighbouring images that share an operation of TrivialAugment."""
_OPERATIONS = TrivialAugmentWide()


def augment(images: Tensor, rng: torch.Generator, *, flips: bool) -> Tensor:
    """Random crop after reflect padding of 4 pixels, and a horizontal flip of half of the images.

    Padding is done by indexing: row −1 is row 1, row 32 is row 30.

    Args:
        images: uint8 (N, 3, H, W).
        rng: a generator on the CPU.
        flips: whether images are flipped.

    Returns:
        uint8 (N, 3, H, W).
    """
    count, _, height, width = images.shape
    shift = torch.randint(-CROP_PADDING, CROP_PADDING + 1, (2, count, 1), generator=rng)
    mirrored = torch.rand(count, 1, generator=rng) < 0.5
    rows = _reflect(torch.arange(height) + shift[0], height)
    columns = _reflect(torch.arange(width) + shift[1], width)
    if flips:
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = to_device(rows, images.device), to_device(columns, images.device)
    place = torch.arange(count, device=images.device).view(-1, 1, 1)
    cropped = images.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


def _reflect(places: Tensor, size: int) -> Tensor:
    """Places in 0 … size − 1; those outside are reflected at the border."""
    places = places.abs()
    return (size - 1) - ((size - 1) - places).abs()


def cutout(images: Tensor, rng: torch.Generator, *, size: int, fill: Sequence[float]) -> Tensor:
    """Fill a square of each image with one colour.

    DeVries & Taylor (2017), section 3.2: the centre of the square is any pixel, so that at the
    border a part of the square lies outside the image; the colour is the data set's mean.

    Args:
        images: uint8 (N, 3, H, W).
        rng: a generator on the CPU.
        size: side of the square, in pixels.
        fill: the colour, one number in [0, 1] for each channel.

    Returns:
        uint8 (N, 3, H, W).
    """
    count, _, height, width = images.shape
    rows = _within(torch.randint(height, (count, 1), generator=rng), size, height)
    columns = _within(torch.randint(width, (count, 1), generator=rng), size, width)
    cut = to_device(rows[:, None, :, None] & columns[:, None, None, :], images.device)
    colour = to_device((torch.tensor(fill) * 255).round().to(images.dtype), images.device)
    return torch.where(cut, colour.view(1, -1, 1, 1), images)


def _within(centres: Tensor, size: int, length: int) -> Tensor:
    """Which of ``length`` places lie in the ``size`` places around the centre.

    ``centres`` is (N, 1); returns bool (N, length).
    """
    first = centres - size // 2
    places = torch.arange(length)
    return (places >= first) & (places < first + size)


def trivial_augment(images: Tensor, seed: int) -> Tensor:
    """One operation of random strength (Müller & Hutter 2021, algorithm 1), by torchvision.

    A call of TrivialAugmentWide draws one operation. Eight neighbouring images share a call, which
    takes as long for eight images as for one. Batches are shuffled, so the distribution for a
    single image is that of the paper. The CPU's global random state is restored afterwards.

    Args:
        images: uint8 (N, 3, H, W).
        seed: seed of all draws.

    Returns:
        uint8 (N, 3, H, W).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        parts = torch.split(images, IMAGES_PER_OPERATION)
        return torch.cat([_OPERATIONS(part) for part in parts])
