"""Passes through our network, compiled with torch.compile.

Compiling fuses kernels. On a GPU the passes of an attack are recorded as a CUDA graph, so that no
time is lost between two kernels.

The first pass at each shape of a batch compiles: tens of seconds. Shapes must therefore be few.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from engine.attacks.active_set import ActiveBatch
from engine.attacks.pgd import Ascend, Climb, Objective, moved
from engine.training.awp import At
from runs.spec import TrainSpec
from runs.threat_model import PGD


def is_wanted(spec: TrainSpec, device: torch.device) -> bool:
    """``auto`` compiles for a GPU: on a CPU compiling costs more than a short run gains."""
    return spec.compile == "on" or (spec.compile == "auto" and device.type == "cuda")


def forget_compiled(device: torch.device) -> None:
    """Free what compiled functions, also of those that are gone, and their graphs hold."""
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def graphs_skipped(device: torch.device) -> str | None:
    """A sentence, where compiled functions did without the CUDA graphs they were to record."""
    skips = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
    if device.type != "cuda" or not skips:
        return None
    return f"{skips} of the compiled functions record no CUDA graph, and so are slower: see the log"


def _compiled(function: Callable[..., Any], *, graphs: bool) -> Callable[..., Any]:
    # Per network, loss and shape of a batch: a recipe of three parts, halved twice, is beyond the
    # 8 after which PyTorch quietly compiles no more.
    torch._dynamo.config.recompile_limit = 64
    mode = "reduce-overhead" if graphs else "default"
    called = torch.compile(function, dynamic=False, mode=mode)
    if not graphs:
        return called

    def replayed(*arguments: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return _kept(called(*arguments))

    return replayed


def _kept(found: Any) -> Any:
    """Copies: a graph's results lie where those of its next replay will."""
    if isinstance(found, Tensor):
        return found.clone()
    return None if found is None else tuple(_kept(one) for one in found)


class Compiled(nn.Module):
    """The same function as ``network``, of the same parameters, buffers and mode.

    ``graphs``: record CUDA graphs; only for a network whose parameters need no gradient.
    """

    def __init__(self, network: nn.Module, *, graphs: bool = False) -> None:
        super().__init__()
        self.network = network
        # In a tuple: no submodule, for its parts are those of ``network``.
        self._call = (_compiled(network, graphs=graphs),)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self._call[0](images)
        return logits


class CompiledAscend:
    """A whole step of an attack as one function (:class:`engine.attacks.pgd.Ascend`).

    For a frozen network in eval mode alone, ours: what a pass would change is not kept apart.
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
            size: Tensor,
        ) -> tuple[Tensor | None, ...]:
            def climbed(points: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
                logits = network(points)
                loss = objective(logits, batch)
                return loss.sum(), (logits, loss)

            # Not torch.autograd.grad: that is no part of a graph in every version of PyTorch.
            gradient, (_, (logits, loss)) = grad_and_value(climbed, has_aux=True)(points)
            return (
                logits,
                loss,
                *moved(points, velocity, gradient, batch.images, norm, momentum, eps, size),
            )

        self._call = _compiled(step, graphs=graphs)

    def __call__(
        self,
        points: Tensor,
        velocity: Tensor | None,
        batch: ActiveBatch,
        objective: Objective,
        spec: PGD,
        size: float,
    ) -> Climb:
        # As tensors: each new number would be compiled anew.
        lengths = (points.new_full((), length) for length in (spec.eps, size))
        with torch.no_grad():
            found = self._call(
                points, velocity, batch, objective, spec.norm, spec.momentum, *lengths
            )
        return Climb(*found)


def _at(model: nn.Module, tensors: dict[str, Tensor], images: Tensor) -> Tensor:
    logits: Tensor = functional_call(model, tensors, images)
    return logits


@dataclass(frozen=True)
class TrainingPasses:
    """How a training's passes are done."""

    trained: nn.Module
    attacked: nn.Module
    ascend: Ascend | None = None
    at: At = functional_call

    def compiled(self, device: torch.device) -> "TrainingPasses":
        """The same, compiled for a device.

        Steps of attacks on the trained network itself stay with autograd: they are crafted in
        train mode, and leave its statistics to be put back.
        """
        frozen = self.attacked is not self.trained
        graphs = frozen and device.type == "cuda"
        return TrainingPasses(
            Compiled(self.trained),
            Compiled(self.attacked, graphs=graphs),
            CompiledAscend(self.attacked, graphs=graphs) if frozen else None,
            _compiled(_at, graphs=False),
        )
