"""A model as an attack uses it: with frozen parameters, in a given mode, and restored afterwards.

Knows nothing about norms, steps and data sets.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def input_gradient(loss: Tensor, points: Tensor) -> Tensor:
    """∇ₓ of each image's loss, of the shape of ``points``.

    ``loss``, (M,), is summed over the batch: the gradient of an image depends on its own loss only,
    as long as the model treats images separately. The gradient is zero where the model passes no
    gradient to its input; the attack then does not move, and the sanity panel reports it.
    """
    if not loss.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(loss.sum(), points, allow_unused=True)
    return torch.zeros_like(points) if gradient is None else gradient


@contextmanager
def frozen(model: nn.Module, mode: str) -> Iterator[None]:
    """Put the model into ``mode``, ``eval`` or ``train``, with frozen parameters; then restore it.

    Restored are the mode of each module, ``requires_grad``, the CPU's random state and, in train
    mode, the buffers and the random state of the model's GPUs.
    """
    modules = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # In train mode BatchNorm updates its statistics and dropout draws from the global state.
    training = mode == "train"
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if training else []
    # A GPU's random state is saved in train mode only: reading it waits for the GPU.
    devices = {p.device.index for p in model.parameters() if training and p.device.type == "cuda"}
    try:
        if any(was_training != training for _, was_training in modules):
            model.train(training)
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        for module, was_training in modules:
            module.training = was_training
        for parameter in trainable:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
