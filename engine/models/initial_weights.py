"""Weights from which a training starts: those of a checkpoint, or of a file of a user's own.

The file is data: code in it is never run. The module knows nothing about Lightning.
"""

from pathlib import Path

import torch
from torch import Tensor

from engine.models.resnet import PictureClassifier
from engine.models.user_model import read_weights
from runs.architectures import network_words
from runs.errors import UserError
from runs.spec import TrainSpec


def take_weights(model: PictureClassifier, path: Path, spec: TrainSpec) -> list[str]:
    """Copy the weights of a file into a new network, in place.

    Names may have further parts in front (``network.``, ``module.``, ``model.``). The normalisation
    stays that of the data set. A last layer for another number of classes stays as it was
    initialised.

    Args:
        model: the network of ``spec``, as it was built.
        path: a checkpoint of advtui, a safetensors file, or a PyTorch state dict.
        spec: whose architecture is named where the weights don't fit.

    Returns:
        The names of the parameters of the last layer, if it was left as it was; else [].

    Raises:
        NotFoundError: the file can't be read.
        UserError: it is no state dict, or that of another network.
    """
    own = model.network.state_dict()
    given: dict[str, Tensor] = {}
    for name, tensor in read_weights(path).items():
        if (known := _known_as(name, own)) is not None:
            given[known] = tensor
        elif name.rpartition(".")[2] not in ("mean", "std"):  # of our normalisation
            raise UserError(_misfit(path, spec, f"it has no {name}"))
    if missing := [name for name in own if name not in given]:
        raise UserError(_misfit(path, spec, f"the file has no {missing[0]}"))
    head = [name for name in own if own[name].shape != given[name].shape]
    layers = {name.rpartition(".")[0] for name in head}
    if head and (len(layers) > 1 or not all(_is_of_head(own[n], given[n]) for n in head)):
        shapes = f"{tuple(given[head[0]].shape)} in the file, {tuple(own[head[0]].shape)} here"
        raise UserError(_misfit(path, spec, f"{head[0]} has the shape {shapes}"))
    kept = {name: own[name] for name in head}
    with torch.no_grad():
        model.network.load_state_dict({**given, **kept})
    return head


def file_of(spec: TrainSpec, home: Path) -> Path:
    """The file that ``init`` names; ``spec`` must have one."""
    return Path(spec.init or "") if spec.init_run is None else home / spec.init_run.file


def _known_as(name: str, own: dict[str, Tensor]) -> str | None:
    """The name without the parts before it that a wrapper has added; None where none fits."""
    while name and name not in own:
        name = name.partition(".")[2]
    return name or None


def _is_of_head(own: Tensor, given: Tensor) -> bool:
    """Whether two tensors differ in their first dimension alone: in the number of classes."""
    return own.dim() == given.dim() <= 2 and own.shape[1:] == given.shape[1:]


def _misfit(path: Path, spec: TrainSpec, reason: str) -> str:
    return f"{path} does not fit {network_words(spec.arch, spec.width)}: {reason}"
