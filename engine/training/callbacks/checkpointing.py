"""Lightning callbacks that keep checkpoints, write them atomically and report them as events.

Knows no network and no recipe.
"""

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO, TorchCheckpointIO

from runs.events import EventWriter

MONITORS = {"best_clean": "val_accuracy", "best_robust": "val_robust_accuracy"}


def keepers(folder: Path) -> list[ModelCheckpoint]:
    """Lightning's callbacks that keep ``best_clean``, ``best_robust`` and ``last``.

    ``last`` comes last, so that it holds what the other two have just decided.
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
    """Lightning's own forgets the best score where the folder has another path than it had."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {
                **state_dict,
                **{name: here(state_dict[name]) for name in paths},
                "best_k_models": best,
                "dirpath": self.dirpath,
            }
        )


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, then moves into place."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with beside.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)


def checkpoint_io(device: torch.device) -> CheckpointIO:
    """How checkpoints of a training on ``device`` reach the disk.

    A full ResNet-18's are 135 MB, up to three of them an epoch, 0.2 to 0.5 s each (measured): a GPU
    goes on meanwhile, from copies. Written in order, the last of them before the training ends.
    """
    atomic = AtomicCheckpointIO()
    return AsyncCheckpointIO(atomic) if device.type == "cuda" else atomic


class CheckpointReporter(Checkpoint):
    """Writes an event for each checkpoint that has just been kept.

    A ``Checkpoint`` itself, because Lightning calls those last, in order: by then the keepers
    before it have written their files, or on a GPU handed them over to be written.
    """

    def __init__(self, events: EventWriter, keepers: list[ModelCheckpoint]) -> None:
        self._events = events
        self._keepers = keepers
        self._known: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._known = self._scores()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scores = self._scores()
        for name, score in scores.items():
            if self._known.get(name) != score:
                report_checkpoint(self._events, trainer, name, MONITORS[name], score)
        self._known = scores
        report_checkpoint(self._events, trainer, "last", None, None)

    def _scores(self) -> dict[str, float]:
        return {
            str(keeper.filename): float(keeper.best_model_score)
            for keeper in self._keepers
            if keeper.monitor and keeper.best_model_score is not None
        }


def report_checkpoint(
    events: EventWriter, trainer: pl.Trainer, name: str, monitor: str | None, value: float | None
) -> None:
    """Say that the checkpoint ``name`` now holds this step."""
    events.write(
        "checkpoint",
        name=name,
        epoch=trainer.current_epoch,
        step=trainer.global_step,
        monitor=monitor,
        value=value,
    )
