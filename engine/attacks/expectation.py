"""Expectation over transformation (EoT; Athalye et al. 2018): an attack on a randomised network.

A network that draws noise answers differently each time. Its gradient is then the mean over several
passes, and its prediction the majority vote of several passes. The noise of a pass is a function of
(seed, evaluation within the attack, pass, place in the batch). Knows nothing about norms and steps.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attacks.frozen_model import input_gradient
from engine.attacks.losses import at_least_float32
from engine.seeding import derive


class ManyPasses(nn.Module):
    """A randomised network whose answer is the majority vote of several passes.

    Args:
        network: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes); it draws noise
            from PyTorch's global random state.
        passes: of each vote and each gradient, at least 1.
        seed: of the noise.
    """

    def __init__(self, network: nn.Module, passes: int, seed: int) -> None:
        super().__init__()
        self.network, self.passes, self._seed = network, passes, seed
        self._evaluations = 0

    def begin(self) -> None:
        """Begin an attack on a batch: its noise is that of an attack begun anew."""
        self._evaluations = 0

    def forward(self, images: Tensor) -> Tensor:
        """The vote, float32 (N, classes); the same for the same batch."""
        return vote(list(self._answers(images, "vote", 0)))

    def next_evaluation(self, images: Tensor) -> Iterator[Tensor]:
        """The logits of each pass, (N, classes), with other noise at each call since the start."""
        self._evaluations += 1
        return self._answers(images, "eot", self._evaluations)

    def _answers(self, images: Tensor, purpose: str, evaluation: int) -> Iterator[Tensor]:
        devices = [images.device] if images.device.type == "cuda" else []
        for number in range(self.passes):
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(derive(self._seed, purpose, evaluation, number))
                logits = self.network(images)
            yield logits


def vote(answers: list[Tensor]) -> Tensor:
    """The majority vote of P passes, as logits, float32 (N, classes).

    They are log((v + p̄) / (P + 1)) with the number v of passes that predict a class, and its mean
    probability p̄, which decides where two classes have equally many.

    Args:
        answers: the logits of each pass, (N, classes).
    """
    logits = torch.stack([at_least_float32(answer) for answer in answers])
    votes = F.one_hot(logits.argmax(dim=2), logits.shape[2]).sum(dim=0)
    score = (votes + logits.softmax(dim=2).mean(dim=0)) / (len(answers) + 1)
    return score.clamp_min(torch.finfo(score.dtype).tiny).log()


class Evaluated(NamedTuple):
    """What a network says at the points of M images. Nothing of it carries gradients."""

    logits: Tensor
    """(M, classes); of several passes their vote."""
    loss: Tensor
    """(M,): the objective; of several passes its mean."""
    gradient: Tensor
    """(M, 3, H, W): ∇ₓ of the loss."""


def evaluated(model: nn.Module, points: Tensor, objective: Callable[[Tensor], Tensor]) -> Evaluated:
    """The logits, the objective and its gradient at ``points``, (M, 3, H, W).

    ``objective`` maps logits to what the attack maximises, (M,). Of :class:`ManyPasses` the loss
    and the gradient are means over the passes, one pass after another in memory.
    """
    points = points.detach().requires_grad_()
    if not isinstance(model, ManyPasses):
        logits = model(points)
        loss = objective(logits)
        gradient = input_gradient(loss, points)
        return Evaluated(logits.detach(), loss.detach(), gradient)
    answers, losses, total = [], [], torch.zeros_like(points)
    for logits in model.next_evaluation(points):
        loss = objective(logits)
        total += input_gradient(loss, points)
        answers.append(logits.detach())
        losses.append(loss.detach())
    return Evaluated(vote(answers), torch.stack(losses).mean(dim=0), total / model.passes)


@torch.no_grad()
def evaluated_without_gradient(
    model: nn.Module, points: Tensor, objective: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The logits and the objective of :func:`evaluated`."""
    if not isinstance(model, ManyPasses):
        logits = model(points)
        return logits, objective(logits)
    answers = list(model.next_evaluation(points))
    losses = [objective(logits) for logits in answers]
    return vote(answers), torch.stack(losses).mean(dim=0)
