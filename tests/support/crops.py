"""All crops of an image, and images of noise to take them from."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def all_crops(image: Tensor) -> dict[bytes, tuple[int, int, bool]]:
    """Every crop of the image padded by reflection, as is and mirrored."""
    padded = F.pad(image[None].float(), (4, 4, 4, 4), mode="reflect")[0].to(torch.uint8)
    _, height, width = image.shape
    found = {}
    for top in range(9):
        for left in range(9):
            crop = padded[:, top : top + height, left : left + width]
            found[crop.contiguous().numpy().tobytes()] = (top, left, False)
            found[crop.flip(2).contiguous().numpy().tobytes()] = (top, left, True)
    return found


def crops_of(images: Tensor, augmented: Tensor) -> Iterator[tuple[int, int, bool]]:
    for image, crop in zip(images, augmented, strict=True):
        yield all_crops(image)[crop.contiguous().numpy().tobytes()]  # KeyError: no crop


def noise_pictures(count: int, height: int = 32, width: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=rng(5), dtype=torch.uint8)
