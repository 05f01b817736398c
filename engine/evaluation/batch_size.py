"""How many images a device has room for."""

import torch
from torch import Tensor, nn

from engine.attacks.frozen_model import input_gradient
from runs.errors import UserError


def room_for(network: nn.Module, images: Tensor) -> tuple[int, str | None]:
    """The largest batch, ``len(images)`` halved so often as is needed, whose pass with the
    gradient of the input fits into the memory; and a sentence where it had to be halved.

    Raises:
        UserError: not even one image fits.
    """
    count = len(images)
    while not _fits(network, images[:count]):
        count //= 2
        if count == 0:
            raise UserError("out of memory, even with one image at a time")
    if count == len(images):
        return count, None
    return count, f"out of memory: batches of {count} images instead of {len(images)}"


def _fits(network: nn.Module, images: Tensor) -> bool:
    points = images.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            input_gradient(network(points).sum(dim=1), points)
    except torch.OutOfMemoryError:
        return False
    return True
