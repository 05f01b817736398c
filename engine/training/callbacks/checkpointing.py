"""Lightning callbacks that choose the checkpoints, and the plugin that writes and reports them.

Knows nothing about networks and recipes.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO, TorchCheckpointIO

from engine.training.checkpoint_record import MONITORS, kept_checkpoint
from runs.checksums import sha256_of
from runs.events import EventWriter
from runs.jsonfiles import replacing
from runs.result_types import KeptCheckpoint
from runs.storage import StorageError, writing

Report = Callable[[str, KeptCheckpoint, str], object]
"""Called with the name of a checkpoint, what it now holds, and the SHA-256 of its file."""


def keepers(folder: Path) -> list[ModelCheckpoint]:
    """The callbacks that save ``best_clean``, ``best_robust`` and ``last`` in ``folder``, in order.

    ``last`` is saved after the other two, so that it contains their latest scores.
    """
    best = [
        Keeper(
            dirpath=folder,
            filename=name,
            monitor=monitor,
            mode="max",
            save_top_k=1,
            enable_version_counter=False,
        )
        for name, monitor in MONITORS.items()
    ]
    return [*best, Keeper(dirpath=folder, filename="last", enable_version_counter=False)]


class Keeper(ModelCheckpoint):
    """Lightning's callback, for a folder that may have moved since the checkpoint was saved.

    Lightning's own forgets the best score if the path of the folder has changed. The class name is
    part of every checkpoint.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def in_folder(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        best = {in_folder(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {
                **state_dict,
                **{name: in_folder(state_dict[name]) for name in paths},
                "best_k_models": best,
                "dirpath": self.dirpath,
            }
        )


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint atomically: after a crash the file is the old one or the new one.

    The old one stays until the new one has been read again and found as it was written. ``report``
    is called once the new file is in place.
    """

    def __init__(self, report: Report | None = None) -> None:
        self._report = report

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        with writing(target):
            target.parent.mkdir(exist_ok=True)  # not the run's folder, if somebody took it away
        with replacing(target, _tensor_bytes(checkpoint)) as stream:
            summed = Summed(stream)
            torch.save(checkpoint, summed)  # type: ignore[arg-type]  # it needs no more
            stream.flush()
            os.fsync(stream.fileno())
            if sha256_of(Path(stream.name)) != summed.sha256:
                raise StorageError(f"{target} can't be written: its file system returns other data")
        if self._report is not None:
            self._report(target.stem, kept_checkpoint(target.stem, checkpoint), summed.sha256)


class Summed:
    """A stream that is written from its beginning to its end, and the sum of what was written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._sum = stream, hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        """Write to the stream."""
        self._sum.update(content)
        return self._stream.write(content)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    @property
    def sha256(self) -> str:
        """The sum, in hexadecimal."""
        return self._sum.hexdigest()


def _tensor_bytes(content: Any) -> int:
    """The size of all tensors in ``content``, in bytes; they are nearly all of a checkpoint."""
    if isinstance(content, torch.Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, Mapping):
        return sum(map(_tensor_bytes, content.values()))
    return sum(map(_tensor_bytes, content)) if isinstance(content, list | tuple) else 0


def checkpoint_io(device: torch.device, events: EventWriter) -> CheckpointIO:
    """The plugin that writes the checkpoints of a training on ``device``, each with its event.

    A checkpoint of the full ResNet-18 has 135 MB and takes 0.2 to 0.5 s (measured); an epoch saves
    up to three. On a GPU the training goes on meanwhile, and the checkpoints are written from
    copies: in order, and all of them before the training ends.
    """
    atomic = AtomicCheckpointIO(
        lambda name, kept, sha256: events.write("checkpoint", name=name, **kept, sha256=sha256),
    )
    return AsyncCheckpointIO(atomic) if device.type == "cuda" else atomic
