"""Read a checkpoint file and build the network that it holds.

A checkpoint is data: no code in it is run.
"""

import zipfile
from pathlib import Path
from typing import Any

import torch

from engine.models.resnet import PictureClassifier, resnet18
from runs.errors import NotFoundError, UserError
from runs.spec import TrainSpec


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, with tensors on the CPU; code in it is never run.

    Raises:
        NotFoundError: there is no such file.
        UserError: the file is damaged, or not a checkpoint of advtui.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no checkpoint {path}")
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load checks no sums
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"{broken} differs from its checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails in a dozen ways on bytes that are no pickle
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or not a checkpoint: {first}") from None
    parts = ("state_dict", "hyper_parameters")
    if not isinstance(content, dict) or any(part not in content for part in parts):
        raise UserError(f"{path} is not a checkpoint of advtui: it lacks {' and '.join(parts)}")
    return content


def load_model(path: Path, *, classes: int) -> tuple[PictureClassifier, dict[str, Any]]:
    """The network of a checkpoint, in eval mode on the CPU, and the checkpoint's content.

    With weight averaging these are the averaged weights, those that were validated.

    Raises:
        NotFoundError: there is no such file.
        UserError: damaged, of another architecture, or for another number of classes.
    """
    content = read_checkpoint(path)
    identity = content["hyper_parameters"]
    try:
        own = int(identity["classes"])
        spec = identity["spec"]
        # A checkpoint from before there was a choice has no activation: relu, the default.
        shape = {"width": spec["width"], **{k: spec[k] for k in ("activation",) if k in spec}}
        told = TrainSpec.model_validate(shape)
        mean, std = ([float(value) for value in identity[key]] for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3:
            raise ValueError("three channels are expected")
        weights = {
            str(name).removeprefix("network."): value
            for name, value in content["state_dict"].items()
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise UserError(f"{path} is not a checkpoint of advtui: its identity is missing") from None
    if own != classes:
        raise UserError(f"{path} tells {own} classes apart, but the data set has {classes}")
    model = resnet18(own, told.width, mean, std, told.activation)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path} does not fit a ResNet-18 of width {told.width}: {reason}"
        ) from None
    return model.eval(), content
