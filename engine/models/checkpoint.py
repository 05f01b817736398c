"""Reads checkpoint files and builds the networks that they hold.

A checkpoint is data: code in it is never run. The module knows nothing about training and
Lightning's callbacks, which write the files.
"""

import zipfile
from pathlib import Path
from typing import Any

import torch

from engine.models.build import new_model
from engine.models.resnet import PictureClassifier
from runs.architectures import network_words
from runs.errors import NotFoundError, UserError
from runs.spec import TrainSpec


def read_checkpoint(path: Path, *, facts_only: bool = False) -> dict[str, Any]:
    """The content of a checkpoint, with tensors on the CPU; code in it is never run.

    With ``facts_only`` its tensors are not read and its checksums not checked, which is fast.

    Raises:
        NotFoundError: there is no such file.
        UserError: the file is damaged, or not a checkpoint of advtui.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no checkpoint {path}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load checks no checksums
            if not facts_only and (broken := archive.testzip()):
                raise zipfile.BadZipFile(f"{broken} differs from its checksum")
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=facts_only)
    except Exception as error:  # the unpickler raises many types on bytes that are no pickle
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or not a checkpoint: {reason}") from None
    keys = ("state_dict", "hyper_parameters")
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise UserError(
            f"{path} is not a checkpoint of advtui: the keys {' and '.join(keys)} are expected"
        )
    return content


def load_model(
    path: Path, *, classes: int, size: tuple[int, int] = (32, 32)
) -> tuple[PictureClassifier, dict[str, Any]]:
    """The network of a checkpoint, in eval mode on the CPU, and the content of the checkpoint.

    With weight averaging its weights are the averaged weights, which were validated.

    Args:
        path: of the file.
        classes: number of classes of the data set.
        size: height and width of the images, in pixels.

    Raises:
        NotFoundError: there is no such file, or no such code of a user's own network.
        UserError: the file is damaged, of another architecture, or for another number of classes.
    """
    content = read_checkpoint(path)
    identity = content["hyper_parameters"]
    try:
        trained_classes = int(identity["classes"])
        spec = identity["spec"]
        # What an older checkpoint does not name is the default: a ResNet-18 with relu.
        named = ("arch", "arch_folder", "activation")
        fields = {"width": spec["width"], **{k: spec[k] for k in named if k in spec}}
        architecture = TrainSpec.model_validate(fields)
        mean, std = ([float(value) for value in identity[key]] for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3:
            raise ValueError("three channels are expected")
        weights = {
            str(name).removeprefix("network."): value
            for name, value in content["state_dict"].items()
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise UserError(
            f"{path} is not a checkpoint of advtui: its classes, normalisation or spec are missing "
            "or damaged"
        ) from None
    if trained_classes != classes:
        raise UserError(
            f"{path} was trained on {trained_classes} classes, but the data set has {classes}: "
            "choose the data set that it was trained on"
        )
    model = new_model(architecture, classes, mean, std, size)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path} does not fit a {network_words(architecture.arch, architecture.width)}: "
            f"{reason}"
        ) from None
    return model.eval(), content
