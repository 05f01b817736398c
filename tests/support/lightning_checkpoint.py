"""A tiny Lightning checkpoint, as the engine writes it."""

import functools
from pathlib import Path
from typing import Any

import torch

from engine.training.lightning_module import Classifier
from runs.spec import TrainSpec

CLASSES, WIDTH = 4, 2


def module() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        spec = TrainSpec(data="digits", width=WIDTH)
        return Classifier(spec, CLASSES, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3], steps=1)


shared = functools.cache(module)  # of which nobody changes anything


def content(**identity: Any) -> dict[str, Any]:
    """What Lightning writes for a network, as far as it is needed to build it again."""
    source = shared()
    return {
        "state_dict": dict(source.state_dict()),
        "hyper_parameters": {**dict(source.hparams), **identity},
    }


def write(path: Path, what: Any) -> Path:
    torch.save(what, path)
    return path


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
