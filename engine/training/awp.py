"""Adversarial weight perturbation (Wu et al. 2020): a loss at the worst weights nearby.

Knows no recipe: a loss is a function of a network, a network one of pictures.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

Network = Callable[[Tensor], Tensor]
At = Callable[[nn.Module, dict[str, Tensor], Tensor], Tensor]
"""A pass of pictures through a module, with tensors in place of its parameters or buffers."""
Loss = tuple[Tensor, Tensor]
"""A scalar, and the logits (N, classes) that it was taken from."""
_TINY = 1e-12


def at_worst_weights(
    model: nn.Module, loss: Callable[[Network], Loss], gamma: float, at: At = functional_call
) -> Loss:
    """``loss`` at the weights w + v, where v climbs it within ‖v_l‖ = γ·‖w_l‖ in each layer l.

    Equations (8) to (10) with the one step of the authors' code: v_l = γ·‖w_l‖·g_l/‖g_l‖, g the
    gradient of the loss at w. Like theirs it moves matrices and kernels, neither biases nor
    BatchNorm. The model is not touched: v is added on the way, so that the gradient with respect
    to w is that at w + v (algorithm 1). BatchNorm's statistics see the pass at w + v alone.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.ndim > 1}
    aside = {name: buffer.clone() for name, buffer in model.named_buffers()}
    value, _ = loss(partial(at, model, aside))
    gradients = torch.autograd.grad(value, list(weights.values()))
    worst = {
        name: weight + gamma * weight.detach().norm() / (gradient.norm() + _TINY) * gradient
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
    return loss(partial(at, model, worst))
