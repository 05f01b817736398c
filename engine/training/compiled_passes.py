"""The passes of a training through the network, compiled with torch.compile.

Compiling fuses kernels. On a GPU the passes of an attack are recorded as a CUDA graph, so that the
GPU does not wait between two kernels. The first pass with a new batch shape compiles, which takes
tens of seconds; a training therefore uses few shapes.

The module knows nothing about recipes, data sets or Lightning.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from engine.attacks.active_set import ActiveBatch
from engine.attacks.pgd import GradientStep, Objective, StepResult, next_point
from engine.training.awp import ForwardWith
from runs.spec import TrainSpec
from runs.threat_model import PGD


def is_wanted(spec: TrainSpec, device: torch.device) -> bool:
    """Whether the passes of a training are compiled.

    ``auto`` compiles for a GPU. On a CPU compiling takes longer than a short run gains.
    """
    return spec.compile == "on" or (spec.compile == "auto" and device.type == "cuda")


def forget_compiled(device: torch.device) -> None:
    """Free the memory of all compiled functions and their graphs, deleted functions included."""
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def graphs_skipped(device: torch.device) -> str | None:
    """A sentence if compiled functions could not record their CUDA graphs on a GPU; else None."""
    skips = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
    if device.type != "cuda" or not skips:
        return None
    return f"{skips} compiled functions record no CUDA graph and run slower: worker.log says why"


def _compiled(function: Callable[..., Any], *, graphs: bool) -> Callable[..., Any]:
    # A function is compiled for each network, loss and batch shape. A recipe with three parts,
    # halved twice, exceeds PyTorch's limit of 8, beyond which it silently stops compiling.
    torch._dynamo.config.recompile_limit = 64
    mode = "reduce-overhead" if graphs else "default"
    compiled = torch.compile(function, dynamic=False, mode=mode)
    if not graphs:
        return compiled

    def replayed(*arguments: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return _copied(compiled(*arguments))

    return replayed


def _copied(result: Any) -> Any:
    """Copies of all tensors in ``result``: the next replay of a graph overwrites its results."""
    if isinstance(result, Tensor):
        return result.clone()
    return None if result is None else tuple(_copied(part) for part in result)


class Compiled(nn.Module):
    """The same function as ``network``, with its parameters, buffers and mode.

    ``graphs``: record CUDA graphs; only for a network whose parameters need no gradient.
    """

    def __init__(self, network: nn.Module, *, graphs: bool = False) -> None:
        super().__init__()
        self.network = network
        # In a tuple, so that it is no submodule: its parameters are those of ``network``.
        self._call = (_compiled(network, graphs=graphs),)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self._call[0](images)
        return logits


class CompiledGradientStep:
    """A whole :class:`engine.attacks.pgd.GradientStep` as one compiled function.

    ``network`` must be frozen and in eval mode: nothing restores what a forward pass changes.
    ``graphs``: record CUDA graphs.
    """

    def __init__(self, network: nn.Module, *, graphs: bool = False) -> None:
        def step(
            points: Tensor,
            velocity: Tensor | None,
            batch: ActiveBatch,
            objective: Objective,
            norm: str,
            momentum: float,
            eps: Tensor,
            alpha: Tensor,
        ) -> tuple[Tensor | None, ...]:
            def summed_loss(points: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
                logits = network(points)
                loss = objective(logits, batch)
                return loss.sum(), (logits, loss)

            # Not torch.autograd.grad: not every version of PyTorch can compile it.
            gradient, (_, (logits, loss)) = grad_and_value(summed_loss, has_aux=True)(points)
            return (
                logits,
                loss,
                *next_point(points, velocity, gradient, batch.images, norm, momentum, eps, alpha),
            )

        self._call = _compiled(step, graphs=graphs)

    def __call__(
        self,
        points: Tensor,
        velocity: Tensor | None,
        batch: ActiveBatch,
        objective: Objective,
        spec: PGD,
        alpha: float,
    ) -> StepResult:
        # As tensors: the function would be compiled again for each new number.
        lengths = (points.new_full((), length) for length in (spec.eps, alpha))
        with torch.no_grad():
            result = self._call(
                points, velocity, batch, objective, spec.norm, spec.momentum, *lengths
            )
        return StepResult(*result)


def _forward_with(model: nn.Module, tensors: dict[str, Tensor], images: Tensor) -> Tensor:
    logits: Tensor = functional_call(model, tensors, images)
    return logits


@dataclass(frozen=True)
class TrainingPasses:
    """The networks and functions that the passes of a training step go through."""

    trained: nn.Module
    """The network whose weights are trained."""
    attacked: nn.Module
    """The network that is attacked: ``trained`` itself, or a frozen copy of it."""
    gradient_step: GradientStep | None = None
    """Computes a step of an attack on ``attacked``; None: autograd."""
    forward_with: ForwardWith = functional_call
    """A forward pass of ``trained`` with other weights or buffers."""

    def compiled(self, device: torch.device) -> "TrainingPasses":
        """The same passes, compiled for a device.

        Attacks on the trained network itself keep the steps of autograd: they run in train mode,
        and the BatchNorm statistics that they change have to be restored.
        """
        frozen = self.attacked is not self.trained
        graphs = frozen and device.type == "cuda"
        return TrainingPasses(
            Compiled(self.trained),
            Compiled(self.attacked, graphs=graphs),
            CompiledGradientStep(self.attacked, graphs=graphs) if frozen else None,
            _compiled(_forward_with, graphs=False),
        )
