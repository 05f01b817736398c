"""Seeds derived from a run's seed and the purpose of the randomness.

Randomness in training is a function of (seed, epoch, batch number), in evaluation of (seed,
restart, image index). Batch size, resume and sharding therefore don't change the result. The module
knows nothing about what the seeds are used for.
"""

import hashlib
from collections.abc import Iterable

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, independent of the seeds for other purposes.

    ``purpose`` is a name and numbers, e.g. ``"augment", epoch, batch``.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def generator(
    seed: int, *purpose: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator on ``device`` with the seed of :func:`derive`."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


def image_generators(seed: int, purpose: str, indices: Iterable[int]) -> list[torch.Generator]:
    """One CPU generator for each image index. Each restart draws its next start from each."""
    return [generator(seed, purpose, index) for index in indices]
