"""The types of the data: a split of images on a device, and a batch of it.

A whole split is held in memory: CIFAR-100 takes 150 MB. The module knows nothing about files and
models.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor, Tensor]
"""Images, float32 (N, 3, H, W) in [0, 1]; labels, int64 (N,); their places in the official split,
int64 (N,)."""


@dataclass(frozen=True)
class Pictures:
    """The images of a split, on one device."""

    images: Tensor
    """uint8 (N, 3, H, W)."""
    labels: Tensor
    """int64 (N,)."""
    indices: Tensor
    """int64 (N,): the places of the images in the official split."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, places: Tensor) -> "Pictures":
        """The images at ``places``, int64 (M,), of these."""
        return Pictures(self.images[places], self.labels[places], self.indices[places])

    def followed_by(self, others: "Pictures") -> "Pictures":
        """These images and others on the same device, of the same size."""
        return Pictures(
            torch.cat((self.images, others.images)),
            torch.cat((self.labels, others.labels)),
            torch.cat((self.indices, others.indices)),
        )

    def to(self, device: torch.device) -> "Pictures":
        """The same images on ``device``."""
        return Pictures(self.images.to(device), self.labels.to(device), self.indices.to(device))


def to_float(images: Tensor) -> Tensor:
    """uint8 images (N, 3, H, W) as float32 in [0, 1], in channels-last layout."""
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor copied to ``device``, without waiting for a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
