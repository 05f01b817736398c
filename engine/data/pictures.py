"""The types of the data: a split of pictures on a device, and a batch of it.

A split is held whole in memory: CIFAR-100 is 150 MB. Knows no model and no file.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor, Tensor]
"""Images, float (N, 3, 32, 32) in [0, 1]; labels, int64 (N,); their places in the split."""


@dataclass(frozen=True)
class Pictures:
    """One split: ``images`` uint8 (N, 3, 32, 32), ``labels`` int64 (N,), on one device.

    ``indices`` int64 (N,) are the images' places in the official split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, chosen: Tensor) -> "Pictures":
        """The images at ``chosen``, int64 (M,)."""
        return Pictures(self.images[chosen], self.labels[chosen], self.indices[chosen])

    def to(self, device: torch.device) -> "Pictures":
        return Pictures(self.images.to(device), self.labels.to(device), self.indices.to(device))


def to_float(images: Tensor) -> Tensor:
    """uint8 pictures as float32 in [0, 1], channels last."""
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on ``device``; nothing waits for a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
