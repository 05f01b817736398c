"""Seeds as functions of what they are for.

Randomness in training is a function of (seed, epoch, batch number), in evaluation of (seed,
restart, image index): batch size, resume and sharding don't change the outcome.
"""

import hashlib
from collections.abc import Iterable

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, unrelated to those for others."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def generator(
    seed: int, *purpose: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator for one purpose."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


def image_generators(seed: int, purpose: str, indices: Iterable[int]) -> list[torch.Generator]:
    """One CPU generator for each image. A restart is the next draw from each."""
    return [generator(seed, purpose, index) for index in indices]
