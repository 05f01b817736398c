"""Builds the network that a training spec names, with fresh weights.

Ours by their names, timm's as ``timm:NAME``, a user's as ``package.module:factory``. The module
knows nothing about data sets, checkpoints and Lightning.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from engine.models.preact import preact_resnet18, wide_resnet
from engine.models.resnet import CifarResNet18, PictureClassifier
from engine.models.user_model import check_trainable, user_network
from runs.architectures import TIMM
from runs.errors import UserError
from runs.spec import TrainSpec


def new_model(
    spec: TrainSpec,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    size: tuple[int, int] = (32, 32),
) -> PictureClassifier:
    """The network of ``spec`` in channels-last layout, initialised from the global random state.

    Args:
        spec: of which architecture, its folder, width and activation are read.
        classes: number of logits.
        mean: of each channel, in pixels of [0, 1].
        std: of each channel, in pixels of [0, 1].
        size: height and width of the images, in pixels.

    Raises:
        NotFoundError: there is no such module or factory.
        UserError: timm is missing or has no such network; a foreign network fails on such images
            or returns something other than a logit for each class.
    """
    model = PictureClassifier(_network(spec, classes, size), mean, std)
    if ":" in spec.arch:
        check_trainable(model, spec.arch, classes=classes, size=size)
    return model.to(memory_format=torch.channels_last)


def _network(spec: TrainSpec, classes: int, size: tuple[int, int]) -> nn.Module:
    match spec.arch:
        case "resnet18":
            return CifarResNet18(classes, spec.width, spec.activation)
        case "preactresnet18":
            return preact_resnet18(classes, spec.width, spec.activation)
        case "wrn-28-10":
            return wide_resnet(28, classes, spec.width, spec.activation)
        case "wrn-34-10":
            return wide_resnet(34, classes, spec.width, spec.activation)
    if spec.arch.startswith(TIMM):
        return _timm_network(spec.arch.removeprefix(TIMM), classes, size)
    return user_network(spec.arch, spec.arch_folder, classes)


def _timm_network(name: str, classes: int, size: tuple[int, int]) -> nn.Module:
    """A network of timm without its trained weights.

    Networks that are built for one size of images, like ViTs, are told the size.
    """
    try:
        import timm
    except ImportError:
        raise UserError(
            f"arch {TIMM}{name} needs timm: pip install 'advtui[timm]', or pip install timm"
        ) from None
    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")[:5]
        advice = f"near it: {', '.join(near)}" if near else "timm.list_models() lists all"
        raise UserError(f"timm {timm.__version__} has no network {name!r}; {advice}")
    fields: dict[str, Any] = {"pretrained": False, "num_classes": classes}
    try:
        try:
            network = timm.create_model(name, img_size=size, **fields)
        except TypeError:  # it takes any size
            network = timm.create_model(name, **fields)
    except Exception as error:  # each network refuses sizes in its own way
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"timm's {name} can't be built for images of {size[1]}×{size[0]} pixels: {reason}"
        ) from None
    built: nn.Module = network
    return built
