"""Residual networks with pre-activation, for images of 32×32 pixels.

PreActResNet-18 (He et al. 2016, *Identity Mappings in Deep Residual Networks*) and wide residual
networks (Zagoruyko & Komodakis 2016). Both are stages of the same block, BatchNorm and activation
before each convolution, with one more BatchNorm and activation behind the last block. The module
knows nothing about data sets, checkpoints and Lightning.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from runs.spec import Activation

ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


class PreActBlock(nn.Module):
    """Two 3×3 convolutions, each behind BatchNorm and activation, and a shortcut around both.

    Where the shape changes, the shortcut is a 1×1 convolution of the activated input.
    """

    def __init__(self, before: int, after: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = _convolution(before, after, stride)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after)
        self.activation = ACTIVATIONS[activation]()
        self.shortcut: nn.Module | None = None
        if stride != 1 or before != after:
            self.shortcut = nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        active = self.activation(self.bn1(images))
        kept = images if self.shortcut is None else self.shortcut(active)
        changed: Tensor = self.conv2(self.activation(self.bn2(self.conv1(active))))
        return changed + kept


class PreActNetwork(nn.Module):
    """A 3×3 convolution, stages of :class:`PreActBlock`, global average and a linear layer.

    Maps (N, 3, H, W) to logits (N, classes).

    Args:
        classes: number of logits.
        stem: channels of the first convolution.
        widths: channels of each stage; each stage but the first halves the sides.
        blocks: blocks of each stage.
        activation: ReLU, or SiLU in its place.
    """

    def __init__(
        self,
        classes: int,
        *,
        stem: int,
        widths: tuple[int, ...],
        blocks: int,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.conv = _convolution(3, stem)
        stages: list[nn.Module] = []
        before = stem
        for number, after in enumerate(widths):
            for place in range(blocks):
                stride = 2 if number > 0 and place == 0 else 1
                stages.append(PreActBlock(before, after, stride, activation))
                before = after
        self.blocks = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(before)
        self.activation = ACTIVATIONS[activation]()
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.activation(self.bn(self.blocks(self.conv(images))))
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(features, 1).flatten(1))
        return logits


def preact_resnet18(classes: int, width: int, activation: Activation) -> PreActNetwork:
    """PreActResNet-18, whose first stage has ``width`` channels (64 in the literature)."""
    widths = (width, 2 * width, 4 * width, 8 * width)
    return PreActNetwork(classes, stem=width, widths=widths, blocks=2, activation=activation)


def wide_resnet(depth: int, classes: int, width: int, activation: Activation) -> PreActNetwork:
    """WRN of so many layers, whose first stage has ``width`` channels: 16 times the widening.

    The two of the literature, WRN-28-10 and WRN-34-10, have 160. ``depth`` is 6 n + 4 for n blocks
    a stage. Dropout, which the paper uses for some tables, is left out, as in adversarial training.
    """
    widths = (width, 2 * width, 4 * width)
    blocks = (depth - 4) // 6
    return PreActNetwork(classes, stem=16, widths=widths, blocks=blocks, activation=activation)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False)
