"""Augmentation of a batch of uint8 pictures on their device. Knows no data set."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import TrivialAugmentWide

from engine.data.pictures import sent

CROP_PADDING = 4


def augment(images: Tensor, rng: torch.Generator, *, flips: bool) -> Tensor:
    """Random crop after reflect padding of 4 pixels, and a flip for half of the images.

    Padding is an index: row −1 is row 1, row 32 is row 30. uint8 (N, 3, H, W) in, same out.
    """
    count, _, height, width = images.shape
    shift = torch.randint(-CROP_PADDING, CROP_PADDING + 1, (2, count, 1), generator=rng)
    mirrored = torch.rand(count, 1, generator=rng) < 0.5
    rows = _reflect(torch.arange(height) + shift[0], height)
    columns = _reflect(torch.arange(width) + shift[1], width)
    if flips:
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = sent(rows, images.device), sent(columns, images.device)
    place = torch.arange(count, device=images.device).view(-1, 1, 1)
    cropped = images.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


def _reflect(places: Tensor, size: int) -> Tensor:
    places = places.abs()
    return (size - 1) - ((size - 1) - places).abs()


SHARING = 8


_OPERATIONS = TrivialAugmentWide()


def cutout(images: Tensor, rng: torch.Generator, *, size: int, fill: Sequence[float]) -> Tensor:
    """A square of ``size`` × ``size`` pixels of each picture becomes ``fill``, a colour in [0, 1].

    DeVries & Taylor (2017), section 3.2: the centre is any pixel, so that at the border a part of
    the square lies outside; the colour is the data set's mean. ``rng`` is on the CPU.
    """
    count, _, height, width = images.shape
    rows = _within(torch.randint(height, (count, 1), generator=rng), size, height)
    columns = _within(torch.randint(width, (count, 1), generator=rng), size, width)
    cut = sent(rows[:, None, :, None] & columns[:, None, None, :], images.device)
    colour = sent((torch.tensor(fill) * 255).round().to(images.dtype), images.device)
    return torch.where(cut, colour.view(1, -1, 1, 1), images)


def _within(centres: Tensor, size: int, length: int) -> Tensor:
    """Which of ``length`` places lie in the ``size`` around the centre: (N, 1) to (N, length)."""
    first = centres - size // 2
    places = torch.arange(length)
    return (places >= first) & (places < first + size)


def trivial_augment(images: Tensor, seed: int) -> Tensor:
    """One operation of random strength (Müller & Hutter 2021, algorithm 1), by torchvision.

    A call of TrivialAugmentWide draws once. Eight neighbours share a draw, for a call costs as
    much for one as for eight; batches are shuffled, so what befalls a picture is still the
    paper's. It draws from the CPU's global state, which is afterwards as it was before.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return torch.cat([_OPERATIONS(few) for few in torch.split(images, SHARING)])
