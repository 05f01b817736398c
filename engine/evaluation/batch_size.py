"""The largest batch whose attack fits into the memory of a device.

Knows nothing about data sets and attacks: it measures one forward and backward pass.
"""

import torch
from torch import Tensor, nn

from engine.attacks.frozen_model import input_gradient
from engine.process.out_of_memory import is_out_of_memory
from runs.errors import UserError


def room_for(network: nn.Module, images: Tensor) -> tuple[int, str | None]:
    """The batch size for which a pass with the input gradient fits into the memory.

    The size is ``len(images)``, halved as often as necessary. With it comes a notice for a person
    where it had to be halved, else None.

    Args:
        network: maps float images, (N, 3, H, W), to logits, (N, classes).
        images: float32 (N, 3, H, W): a batch of the size that is wanted.

    Raises:
        UserError: a single image does not fit.
    """
    count = len(images)
    while not _fits(network, images[:count]):
        count //= 2
        if count == 0:
            raise UserError(
                "out of memory, even with one image at a time: use a device with more free memory, "
                "or smaller images"
            )
    if count == len(images):
        return count, None
    notice = f"out of memory with batches of {len(images)} images: batches of {count} are used"
    return count, notice


def _fits(network: nn.Module, images: Tensor) -> bool:
    points = images.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            input_gradient(network(points).sum(dim=1), points)
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    return True
