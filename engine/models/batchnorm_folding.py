"""BatchNorm folded into the convolutions: the same function in eval mode, with fewer operations.

Attacks use the folded network, because they pass through a frozen network dozens of times. Its
logits agree with those of the original up to rounding; results are counted on the original. The
module knows nothing about attacks and training.
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

    ``network`` computes the function of the original in eval mode, with the weights that the
    original had at the last :meth:`refresh`. A network other than :class:`CifarResNet18` is copied
    without folding.
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
        """Take over the present weights of the original, in place."""
        if not isinstance(self._original.network, CifarResNet18):
            self.network.load_state_dict(self._original.state_dict())
            return
        modules: dict[str, Any] = dict(self._original.named_modules())
        folded: dict[str, Any] = dict(self.network.named_modules())
        names = [name for name, module in modules.items() if isinstance(module, nn.Conv2d)]
        convolutions, copies = [modules[n] for n in names], [folded[n] for n in names]
        norms: list[Any] = [modules[_norm_of(name)] for name in names]
        # The operations of fuse_conv_bn_weights, in its order, but for all layers at once. One by
        # one these are 220 operations, which a GPU waits for in a step with few passes.
        scales = torch._foreach_add([norm.running_var for norm in norms], norms[0].eps)
        torch._foreach_rsqrt_(scales)
        biases = torch._foreach_neg([norm.running_mean for norm in norms])
        torch._foreach_mul_(biases, scales)
        torch._foreach_mul_(biases, [norm.weight for norm in norms])
        torch._foreach_add_(biases, [norm.bias for norm in norms])
        torch._foreach_mul_(scales, [norm.weight for norm in norms])
        weights = torch._foreach_mul(
            [convolution.weight for convolution in convolutions],
            [scale.view(-1, 1, 1, 1) for scale in scales],
        )
        torch._foreach_copy_([folded_copy.weight for folded_copy in copies], weights)
        torch._foreach_copy_([folded_copy.bias for folded_copy in copies], biases)
        for name, module in modules.items():
            if isinstance(module, nn.Linear):
                folded[name].load_state_dict(module.state_dict())


def _norm_of(convolution: str) -> str:
    """The name of a convolution's BatchNorm: ``layer1.0.conv2`` → ``layer1.0.bn2``;
    ``layer2.0.downsample.0`` → ``layer2.0.downsample.1``."""
    head, _, tail = convolution.rpartition(".")
    return f"{head}.{'1' if tail == '0' else tail.replace('conv', 'bn')}"


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[nn.Module, nn.Module]:
    """The folded convolution, and an identity in place of its BatchNorm."""
    return fuse_conv_bn_eval(convolution, norm), nn.Identity()
