"""A model as an attack uses it: frozen, in a given mode, and afterwards as it was before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def input_gradient(loss: Tensor, points: Tensor) -> Tensor:
    """∇ₓ of each image's loss, of the shape of ``points``: the batch is summed, images are apart.

    Zero where the model lets no gradient through to its input: such an attack stands still, and
    the sanity panel says so.
    """
    if not loss.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(loss.sum(), points, allow_unused=True)
    return torch.zeros_like(points) if gradient is None else gradient


@contextmanager
def as_found(model: nn.Module, mode: str) -> Iterator[None]:
    """The model in ``mode`` with frozen parameters; afterwards everything as it was before."""
    modules = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # In train mode BatchNorm moves its statistics and dropout draws from the global state.
    moving = mode == "train"
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if moving else []
    # A GPU's state is kept in train mode only: reading it waits for the GPU.
    devices = {p.device.index for p in model.parameters() if moving and p.device.type == "cuda"}
    try:
        if any(was_training != moving for _, was_training in modules):
            model.train(moving)
        for parameter in frozen:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        for module, was_training in modules:
            module.training = was_training
        for parameter in frozen:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
