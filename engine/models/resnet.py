"""torchvision's ResNet-18 for images of 32×32 pixels, with normalisation inside.

He et al. 2016 with the CIFAR stem: a 3×3 convolution of stride 1, no max-pool. SiLU, whose gradient
has no jumps (Xie et al. 2020), can replace ReLU. The module knows nothing about data sets,
checkpoints and Lightning.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from runs.spec import Activation


class CifarResNet18(ResNet):  # type: ignore[misc]
    """ResNet-18 with the CIFAR stem and ``width`` channels in its first stage (64: standard)."""

    def __init__(self, classes: int, width: int = 64, activation: Activation = "relu") -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity()
        self.layer1 = self._make_layer(BasicBlock, width, 2)
        self.layer2 = self._make_layer(BasicBlock, 2 * width, 2, stride=2)
        self.layer3 = self._make_layer(BasicBlock, 4 * width, 2, stride=2)
        self.layer4 = self._make_layer(BasicBlock, 8 * width, 2, stride=2)
        self.fc = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as in torchvision's ResNet
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif activation == "silu" and isinstance(module, BasicBlock | ResNet):
                module.relu = nn.SiLU()  # torchvision names every activation ``relu``


class PictureClassifier(nn.Module):
    """A network with normalisation as its first layer.

    Maps float images (N, 3, H, W) in [0, 1] to logits (N, classes). ``mean`` and ``std`` are those
    of each channel, in pixels of [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def resnet18(
    classes: int,
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
    activation: Activation = "relu",
) -> PictureClassifier:
    """A new network in channels-last layout, initialised from the global random state.

    ``width`` is the number of channels of the first stage; ``mean`` and ``std`` are those of each
    channel, in pixels of [0, 1].
    """
    model = PictureClassifier(CifarResNet18(classes, width, activation), mean, std)
    return model.to(memory_format=torch.channels_last)
