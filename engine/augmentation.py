"""What training pictures go through after crop and flip: Cutout, TrivialAugment.

Pictures are uint8 (N, 3, H, W) on any device; all randomness comes from what is passed in.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import TrivialAugmentWide

from engine.data import sent

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
