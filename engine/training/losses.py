"""Losses that a recipe minimises, beside cross-entropy. One value per image.

Knows nothing about networks: every function takes logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.attacks.losses import at_least_float32


def boosted_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """−log p_y − log(1 − max_{k≠y} p_k), of shape (N,): Wang et al. (2020), equation (9).

    ``smoothing`` smooths the labels of the first term. ``logits`` are (N, classes), ``labels``
    int64 (N,).
    """
    logits = at_least_float32(logits)
    best_wrong = logits.scatter(1, labels[:, None], -torch.inf).argmax(dim=1, keepdim=True)
    others = logits.scatter(1, best_wrong, -torch.inf).logsumexp(dim=1)
    cross_entropy = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return cross_entropy + logits.logsumexp(dim=1) - others


def kl_divergence(clean: Tensor, adversarial: Tensor) -> Tensor:
    """KL(p‖q) = Σ_k p_k (log p_k − log q_k), of shape (N,): p is the softmax of the logits
    ``clean``, q that of ``adversarial``, both (N, classes)."""
    log_p, log_q = (
        F.log_softmax(at_least_float32(logits), dim=1) for logits in (clean, adversarial)
    )
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)
