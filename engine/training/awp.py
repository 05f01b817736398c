"""Adversarial weight perturbation (Wu et al. 2020): a loss at the worst weights nearby.

Knows nothing about recipes: a loss is a function of a network, a network a function of images.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

Network = Callable[[Tensor], Tensor]
"""Maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes)."""
ForwardWith = Callable[[nn.Module, dict[str, Tensor], Tensor], Tensor]
"""A forward pass of images through a module, with the given tensors in place of its parameters or
buffers of the same names."""
Loss = tuple[Tensor, Tensor]
"""A scalar loss, and the logits (N, classes) that its cross-entropy was computed from."""
Average = Callable[[Sequence[Tensor]], None]
"""Replaces gradients of a part of a batch by those of the whole batch, in place."""
_TINY = 1e-12
"""Added to the norm of a gradient, which may be 0, before the division by it."""


def at_worst_weights(
    model: nn.Module,
    loss: Callable[[Network], Loss],
    gamma: float,
    forward_with: ForwardWith = functional_call,
    average: Average | None = None,
) -> Loss:
    """``loss`` at the weights w + v, where v raises it within ‖v_l‖ = γ·‖w_l‖ in each layer l.

    Equations (8) to (10) with the one step of the authors' code: v_l = γ·‖w_l‖·g_l/‖g_l‖, where g
    is the gradient of the loss at w. Like the authors' code it perturbs matrices and kernels,
    neither biases nor BatchNorm. The weights of the model stay w: v is added in the forward pass,
    so that the gradient with respect to w is that at w + v (algorithm 1). The pass at w does not
    update BatchNorm's statistics, the pass at w + v does.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.ndim > 1}
    buffer_copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    value, _ = loss(partial(forward_with, model, buffer_copies))
    gradients = torch.autograd.grad(value, list(weights.values()))
    if average is not None:
        average(gradients)
    worst = {
        name: weight + gamma * weight.detach().norm() / (gradient.norm() + _TINY) * gradient
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
    return loss(partial(forward_with, model, worst))
