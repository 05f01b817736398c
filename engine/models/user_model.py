"""A network that advtui did not train, from a user's own code and weights.

The code is the user's, and runs; the weights are data, and never do.
"""

import copy
import hashlib
import importlib
import pickle
import sys
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.models.resnet import PictureClassifier
from runs.errors import NotFoundError, UserError
from runs.spec import ModelRef

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which names training scripts keep the state dict in a larger file."""
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
NOT_A_STATE_DICT = (
    "is not a state dict: it holds Python objects, and loading those could run code that it "
    "brings. Save the weights alone, with torch.save(model.state_dict(), …) or as safetensors"
)


def load_own(reference: ModelRef, *, classes: int, size: tuple[int, int]) -> PictureClassifier:
    """The user's network with its weights, in eval mode on the CPU; pictures in [0, 1] go in.

    Args:
        reference: the factory, where it is looked for, weights, and the expected normalisation.
        classes: of the data set; the network must give a logit for each.
        size: height and width of the pictures, in pixels.

    Raises:
        NotFoundError: there is no such module, factory or file.
        UserError: the factory fails or makes no network; the weights are no state dict or do not
            fit; the network does not map pictures of ``size`` to ``classes`` logits.
    """
    network = _made(reference)
    if reference.weights is not None:
        _fill(network, read_weights(Path(reference.weights)), reference)
    mean, std = reference.mean or (0.0,) * 3, reference.std or (1.0,) * 3
    model = PictureClassifier(network, mean, std).eval()
    try:
        copy.deepcopy(model)
    except Exception as error:
        raise UserError(f"{reference.factory} can't be copied: {_first(error)}") from None
    _try_out(model, reference.factory, classes, size)
    return model


def source(reference: ModelRef) -> dict[str, Any]:
    """Which network this was, for the table: factory, file, its SHA-256, normalisation."""
    digest = None
    if reference.weights is not None:
        with Path(reference.weights).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    fields = reference.model_dump(mode="json", include={"factory", "weights", "mean", "std"})
    return {**fields, "sha256": digest}


def _made(reference: ModelRef) -> nn.Module:
    module_name, _, name = reference.factory.partition(":")
    if reference.folder is not None and reference.folder not in sys.path:
        sys.path.append(reference.folder)  # last: it shadows nothing
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            where = f" (looked for in {reference.folder} too)" if reference.folder else ""
            raise NotFoundError(f"there is no module {error.name!r}{where}") from None
        raise UserError(f"{module_name} can't be imported: {_first(error)}") from None
    except Exception as error:  # it is anybody's code
        raise UserError(f"{module_name} can't be imported: {_first(error)}") from None
    factory = getattr(module, name, None)
    if factory is None:
        where = getattr(module, "__file__", None) or "a namespace without a file"
        raise NotFoundError(f"{module_name} ({where}) has no {name!r}")
    try:
        network = factory if isinstance(factory, nn.Module) else factory()
    except Exception as error:
        raise UserError(f"{reference.factory}() failed: {_first(error)}") from None
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise UserError(f"{reference.factory} makes no torch.nn.Module but a {kind}")
    return network


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict out of a safetensors file or one of PyTorch's; no code in it is run.

    Raises:
        NotFoundError: there is no such file.
        UserError: it is damaged, or holds anything but tensors by name.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(2)
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise NotFoundError(f"weights {path} can't be read: {error.strerror}") from None
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or not a safetensors file: {error}") from None
    except Exception as error:  # the reader fails in a dozen ways on bytes that are no archive
        if isinstance(error, pickle.UnpicklingError) and head in (b"PK", *_PICKLES):
            raise UserError(f"{path} {NOT_A_STATE_DICT}") from None
        raise UserError(f"{path} is damaged or no file of weights: {_first(error)}") from None
    inner = [content.get(name) for name in WRAPPERS] if isinstance(content, Mapping) else []
    for found in (*inner, content):
        if isinstance(found, Mapping) and found and _is_state_dict(found):
            return dict(found)
    raise UserError(f"{path} holds no state dict: tensors by name are expected")


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _fill(network: nn.Module, weights: dict[str, Tensor], reference: ModelRef) -> None:
    try:
        network.load_state_dict(_without_wrapper(weights, network.state_dict().keys()))
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{reference.weights} does not fit {reference.factory}: {reason}") from None


def _without_wrapper(weights: dict[str, Tensor], expected: Set[str]) -> dict[str, Tensor]:
    """Without the ``module.`` of DataParallel or the ``model.`` of a LightningModule."""
    shorter = weights
    while shorter.keys() != expected:
        heads = {name.partition(".")[0] for name in shorter}
        if len(heads) != 1 or any("." not in name for name in shorter):
            return weights
        shorter = {name.partition(".")[2]: value for name, value in shorter.items()}
    return shorter


def _try_out(model: nn.Module, factory: str, classes: int, size: tuple[int, int]) -> None:
    height, width = size
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = model(torch.full((2, 3, height, width), 0.5))
    except Exception as error:  # it is anybody's code
        raise UserError(
            f"{factory} fails on RGB pictures of {width}×{height}: {_first(error)}"
        ) from None
    if not isinstance(logits, Tensor):
        raise UserError(f"{factory} must return a tensor of logits, not a {type(logits).__name__}")
    if logits.shape != (2, classes):
        shape = " × ".join(str(length) for length in logits.shape)
        raise UserError(
            f"{factory} turns 2 pictures into {shape} numbers, but the data set has {classes} "
            f"classes: 2 × {classes} logits are expected"
        )


def _first(error: Exception) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
