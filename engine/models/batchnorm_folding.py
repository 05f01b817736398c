"""BatchNorm folded into convolutions: the same function in eval mode, with less to compute.

For attacks, which pass through a frozen network dozens of times. Outputs agree up to rounding;
what an attack finds is counted on the network as it was trained.
"""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock

from engine.models.resnet import CifarResNet18, PictureClassifier


class Folded:
    """A frozen copy of a network in eval mode, without BatchNorm.

    ``network`` computes what the original would in eval mode at the time of the last
    :meth:`refresh`. A network other than :class:`CifarResNet18` is copied as it is.
    """

    def __init__(self, original: PictureClassifier) -> None:
        self._original = original
        self.network = copy.deepcopy(original).eval().requires_grad_(False)
        inner: Any = self.network.network
        if isinstance(inner, CifarResNet18):
            inner.conv1, inner.bn1 = _fold(inner.conv1, inner.bn1)  # type: ignore[assignment]
            blocks: list[Any] = [m for m in inner.modules() if isinstance(m, BasicBlock)]
            for block in blocks:
                block.conv1, block.bn1 = _fold(block.conv1, block.bn1)
                block.conv2, block.bn2 = _fold(block.conv2, block.bn2)
                if isinstance(block.downsample, nn.Sequential):
                    block.downsample = nn.Sequential(*_fold(*block.downsample))
        self.network = self.network.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the original's present weights, in place."""
        if not isinstance(self._original.network, CifarResNet18):
            self.network.load_state_dict(self._original.state_dict())
            return
        modules: dict[str, Any] = dict(self._original.named_modules())
        kept: dict[str, Any] = dict(self.network.named_modules())
        names = [name for name, module in modules.items() if isinstance(module, nn.Conv2d)]
        convolutions, copies = [modules[n] for n in names], [kept[n] for n in names]
        norms: list[Any] = [modules[_norm_of(name)] for name in names]
        # As fuse_conv_bn_weights does it, in its order, but for all at once: one by one these are
        # 220 operations, which in a step of few passes a GPU would wait for.
        scales = torch._foreach_add([norm.running_var for norm in norms], norms[0].eps)
        torch._foreach_rsqrt_(scales)
        biases = torch._foreach_neg([norm.running_mean for norm in norms])
        torch._foreach_mul_(biases, scales)
        torch._foreach_mul_(biases, [norm.weight for norm in norms])
        torch._foreach_add_(biases, [norm.bias for norm in norms])
        torch._foreach_mul_(scales, [norm.weight for norm in norms])
        weights = torch._foreach_mul(
            [here.weight for here in convolutions],
            [scale.view(-1, 1, 1, 1) for scale in scales],
        )
        torch._foreach_copy_([there.weight for there in copies], weights)
        torch._foreach_copy_([there.bias for there in copies], biases)
        for name, module in modules.items():
            if isinstance(module, nn.Linear):
                kept[name].load_state_dict(module.state_dict())


def _norm_of(convolution: str) -> str:
    """``layer1.0.conv2`` → ``layer1.0.bn2``; ``layer2.0.downsample.0`` → ``….1``."""
    head, _, tail = convolution.rpartition(".")
    return f"{head}.{'1' if tail == '0' else tail.replace('conv', 'bn')}"


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[nn.Module, nn.Module]:
    return fuse_conv_bn_eval(convolution, norm), nn.Identity()
