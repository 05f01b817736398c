"""Passes through a network of ours, compiled (torch.compile): kernels are fused, and on a GPU those
of an attack are recorded as a CUDA graph, so that no time is lost between two kernels.

The first pass at each shape of a batch compiles: tens of seconds. Shapes must therefore be few.
"""

import torch
from torch import Tensor, nn

from runs.spec import TrainSpec


def is_wanted(spec: TrainSpec, device: torch.device) -> bool:
    """``auto`` compiles for a GPU: on a CPU compiling costs more than a short run gains."""
    return spec.compile == "on" or (spec.compile == "auto" and device.type == "cuda")


class Compiled(nn.Module):
    """The same function as ``network``, of the same parameters, buffers and mode.

    ``graphs``: record CUDA graphs; only for a network whose parameters need no gradient.
    """

    def __init__(self, network: nn.Module, *, graphs: bool = False) -> None:
        super().__init__()
        # Per network and shape of a batch: a recipe of three parts, halved twice, is beyond the 8
        # after which PyTorch quietly compiles no more.
        torch._dynamo.config.recompile_limit = 64
        self.network = network
        self._graphs = graphs
        mode = "reduce-overhead" if graphs else "default"
        # In a tuple: no submodule, for its parts are those of ``network``.
        self._call = (torch.compile(network, dynamic=False, mode=mode),)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor
        if not self._graphs:
            logits = self._call[0](images)
            return logits
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        # A graph's output lies where that of its next replay will: whoever keeps it needs a copy.
        logits = self._call[0](images)
        return logits.clone()
