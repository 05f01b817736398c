"""A network that advtui did not train, from a user's own code and weights.

The user's code is run. The weights are data: code in them is never run. The module knows nothing
about data sets, attacks and results.
"""

import copy
import hashlib
import inspect
import pickle
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.models.resnet import PictureClassifier
from engine.models.user_code import import_user_module
from runs.errors import NotFoundError, UserError
from runs.spec import ModelRef

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts save the state dict in a larger file."""
CLASSES = ("classes", "num_classes", "n_classes")
"""What factories call the number of classes."""
_PICKLE_HEADS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
NO_DEVICE = "its code must not name a device: --device chooses it, and images come on it"
NOT_A_STATE_DICT = (
    "is not a state dict: it holds Python objects, and loading them could run code from the file. "
    "Save only the weights, with torch.save(model.state_dict(), …) or as safetensors"
)


def load_user_model(
    reference: ModelRef, *, classes: int, size: tuple[int, int]
) -> PictureClassifier:
    """The user's network with its weights, in eval mode on the CPU; it takes images in [0, 1].

    Args:
        reference: the factory, the folder of its code, the weights, and the normalisation that the
            network expects.
        classes: number of classes of the data set; the network must return a logit for each.
        size: height and width of the images, in pixels.

    Raises:
        NotFoundError: there is no such module, factory or file.
        UserError: the factory fails or returns no network; the weights are no state dict or do not
            fit; the network does not map images of ``size`` to ``classes`` logits.
    """
    network = user_network(reference.factory, reference.folder, classes)
    if reference.weights is not None:
        _load_weights(network, read_weights(Path(reference.weights)), reference)
    mean, std = reference.mean or (0.0,) * 3, reference.std or (1.0,) * 3
    model = PictureClassifier(_with_constants(network.eval()), mean, std).eval()
    _copied(model, reference.factory)
    _check_shape(model, reference.factory, classes=classes, size=size)
    if _logits(model, reference.factory, 1, size).shape == (classes,):
        model.network = _OneRow(model.network)
    return model


def _copied(model: nn.Module, name: str) -> nn.Module:
    """A copy of a network.

    Raises:
        UserError: it can't be copied, as attacks and weight averages do.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise UserError(
            f"the network of {name} can't be copied with copy.deepcopy: {_one_line(error)}"
        ) from None


def _check_shape(
    model: nn.Module,
    name: str,
    *,
    classes: int,
    size: tuple[int, int],
    counts: tuple[int, ...] = (2, 3),
) -> Tensor:
    """Logits of some images, of the last of these counts.

    Raises:
        UserError: the network fails on such images, or returns no logit for each class.
    """
    for count in counts:
        logits = _logits(model, name, count, size)
        if logits.shape != (count, classes):
            shape = " × ".join(str(length) for length in logits.shape)
            raise UserError(
                f"{name} returns {shape} logits for {_many(count)}, but the data set "
                f"has {classes} classes: {count} × {classes} logits are expected"
            )
    return logits


def check_trainable(model: nn.Module, name: str, *, classes: int, size: tuple[int, int]) -> None:
    """Refuse a foreign network that can't be trained as a classifier; it is left as it is.

    Args:
        model: takes images in [0, 1].
        name: for messages.
        classes: number of classes of the data set.
        size: height and width of the images, in pixels.

    Raises:
        UserError: it has no parameters, can't be copied, fails on such images in train or eval
            mode, or returns no logit for each class, or probabilities.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"{name} has no parameters to train")
    tried = _copied(model, name)
    for training in (True, False):
        tried.train(training)
        counts = (2, 3) if training else (1, 2, 3)  # BatchNorm can't train on one image
        logits = _check_shape(tried, name, classes=classes, size=size, counts=counts)
        if (logits >= 0).all() and (logits.sum(dim=1) - 1).abs().max() < 1e-3:
            raise UserError(
                f"{name} returns probabilities: leave out its last softmax, logits are expected"
            )


class _OneRow(nn.Module):
    """A network that returns logits (classes,) for one image, where (1, classes) are expected."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits[None] if logits.dim() == 1 else logits


def _with_constants(network: nn.Module) -> nn.Module:
    """The network, in eval mode, with the parameters of its TorchScript modules as constants.

    Those of a script module can't be told to need no gradient, as attacks do with all others.
    """
    if isinstance(network, torch.jit.ScriptModule):
        try:
            return torch.jit.freeze(network)  # type: ignore[no-any-return]
        except (RuntimeError, AttributeError):  # it is frozen
            return network
    for name, child in network.named_children():
        setattr(network, name, _with_constants(child))
    return network


def user_model_source(reference: ModelRef) -> dict[str, Any]:
    """The origin of a network, for the table: factory, file, its SHA-256, normalisation.

    Raises:
        OSError: the file of weights can't be read.
    """
    digest = None
    if reference.weights is not None:
        with Path(reference.weights).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    fields = reference.model_dump(mode="json", include={"factory", "weights", "mean", "std"})
    return {**fields, "sha256": digest}


def user_network(factory: str, folder: str | None, classes: int) -> nn.Module:
    """Import ``package.module:name``, and call it unless it is a network itself.

    The number of classes is passed where it takes an argument of one of the names :data:`CLASSES`.

    Args:
        factory: ``package.module:name``.
        folder: in which the package lies; None: an installed one.
        classes: of the data set.

    Raises:
        NotFoundError: there is no such module or factory.
        UserError: it fails, or returns no network.
    """
    module_name, _, name = factory.partition(":")
    try:
        module = import_user_module(module_name, folder)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            where = f" (searched in {folder} too)" if folder else ""
            raise NotFoundError(f"there is no module {error.name!r}{where}") from None
        raise UserError(f"{module_name} can't be imported: {_one_line(error)}") from None
    except Exception as error:  # the user's code can raise anything
        raise UserError(f"{module_name} can't be imported: {_one_line(error)}") from None
    make = getattr(module, name, None)
    if make is None:
        file = getattr(module, "__file__", None) or "a namespace package without a file"
        raise NotFoundError(f"{module_name} ({file}) has no {name!r}")
    try:
        network = make if isinstance(make, nn.Module) else make(**_taken(make, classes))
    except Exception as error:
        reason = _one_line(error)
        if _is_about_cuda(reason):
            reason += f" ({NO_DEVICE})"
        raise UserError(f"{factory}() failed: {reason}") from None
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise UserError(
            f"{factory} returns an object of type {kind}; a torch.nn.Module is expected"
        )
    return network


def _taken(make: Any, classes: int) -> dict[str, int]:
    """The number of classes as the argument that a factory has for it; {} where it has none."""
    try:
        names = inspect.signature(make).parameters
    except (TypeError, ValueError):  # of a function in C
        return {}
    return dict.fromkeys((name for name in CLASSES if name in names), classes)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a safetensors or PyTorch file; code in it is never run.

    A dictionary that holds the state dict under one of ``WRAPPERS`` is accepted too.

    Raises:
        NotFoundError: the file does not exist or can't be read.
        UserError: the file is damaged, or is not a dictionary from names to tensors.
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
    except Exception as error:  # the reader raises many types on bytes that are no archive
        if isinstance(error, pickle.UnpicklingError) and head in (b"PK", *_PICKLE_HEADS):
            raise UserError(f"{path} {NOT_A_STATE_DICT}") from None
        raise UserError(f"{path} is damaged or not a file of weights: {_one_line(error)}") from None
    inner = [content.get(name) for name in WRAPPERS] if isinstance(content, Mapping) else []
    for candidate in (*inner, content):
        if isinstance(candidate, Mapping) and candidate and _is_state_dict(candidate):
            return dict(candidate)
    raise UserError(f"{path} holds no state dict: a dictionary from names to tensors is expected")


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _load_weights(network: nn.Module, weights: dict[str, Tensor], reference: ModelRef) -> None:
    try:
        network.load_state_dict(_without_prefix(weights, network.state_dict().keys()))
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{reference.weights} does not fit {reference.factory}: {reason}") from None


def _without_prefix(weights: dict[str, Tensor], expected: Set[str]) -> dict[str, Tensor]:
    """Without the prefix ``module.`` of DataParallel or ``model.`` of a LightningModule, if that
    gives the names that are expected."""
    shorter = weights
    while shorter.keys() != expected:
        heads = {name.partition(".")[0] for name in shorter}
        if len(heads) != 1 or any("." not in name for name in shorter):
            return weights
        shorter = {name.partition(".")[2]: value for name, value in shorter.items()}
    return shorter


def _logits(model: nn.Module, factory: str, count: int, size: tuple[int, int]) -> Tensor:
    """The logits of so many grey images.

    Raises:
        UserError: the network fails on them, or returns no tensor.
    """
    height, width = size
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = model(torch.full((count, 3, height, width), 0.5))
    except Exception as error:  # the user's code can raise anything
        reason = _one_line(error)
        advice = NO_DEVICE if _is_about_cuda(reason) else "it gets float32, any number of images"
        raise UserError(
            f"{factory} fails on {_many(count)} of {width}×{height} pixels: {reason} ({advice})"
        ) from None
    if not isinstance(logits, Tensor):
        raise UserError(f"{factory} must return a tensor of logits, not a {type(logits).__name__}")
    return logits


def _many(count: int) -> str:
    return "1 RGB image" if count == 1 else f"{count} RGB images"


def _is_about_cuda(reason: str) -> bool:
    return "cuda" in reason.lower() or "nvidia" in reason.lower()


def _one_line(error: Exception) -> str:
    """The type and message of an error, in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
