"""Lightning callbacks that save checkpoints, atomically, and report them as events.

Knows nothing about networks and recipes.
"""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO, TorchCheckpointIO

from runs.events import EventWriter
from runs.jsonfiles import replacing

MONITORS = {"best_clean": "val_accuracy", "best_robust": "val_robust_accuracy"}
"""The metric whose highest value decides which epoch each of these checkpoints holds."""


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
    """Replaces a checkpoint atomically: after a crash the file is the old one or the new one."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as stream:
            torch.save(checkpoint, stream)


def checkpoint_io(device: torch.device) -> CheckpointIO:
    """The plugin that writes the checkpoints of a training on ``device``.

    A checkpoint of the full ResNet-18 has 135 MB and takes 0.2 to 0.5 s (measured); an epoch saves
    up to three. On a GPU the training goes on meanwhile, and the checkpoints are written from
    copies: in order, and all of them before the training ends.
    """
    atomic = AtomicCheckpointIO()
    return AsyncCheckpointIO(atomic) if device.type == "cuda" else atomic


class CheckpointReporter(Checkpoint):
    """Writes an event for each checkpoint that was saved at the end of an epoch.

    It is a ``Checkpoint`` itself, because Lightning calls these after all other callbacks, in
    order: by then the keepers before it have written their files, or on a GPU have queued them.
    """

    def __init__(self, events: EventWriter, keepers: list[ModelCheckpoint]) -> None:
        self._events = events
        self._keepers = keepers
        self._reported: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._reported = self._scores()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        scores = self._scores()
        for name, score in scores.items():
            if self._reported.get(name) != score:
                report_checkpoint(self._events, trainer, name, MONITORS[name], score)
        self._reported = scores
        report_checkpoint(self._events, trainer, "last", None, None)

    def _scores(self) -> dict[str, float]:
        """The best score of each keeper with a monitor, by the name of its checkpoint."""
        return {
            str(keeper.filename): float(keeper.best_model_score)
            for keeper in self._keepers
            if keeper.monitor and keeper.best_model_score is not None
        }


def report_checkpoint(
    events: EventWriter, trainer: pl.Trainer, name: str, monitor: str | None, value: float | None
) -> None:
    """Write an event: the checkpoint ``name`` now holds the current step.

    Args:
        events: where the event goes.
        trainer: of the training.
        name: ``best_clean``, ``best_robust`` or ``last``.
        monitor: the metric that decided, and ``value`` its value; None for ``last``.
        value: see ``monitor``.
    """
    events.write(
        "checkpoint",
        name=name,
        epoch=trainer.current_epoch,
        step=trainer.global_step,
        monitor=monitor,
        value=value,
    )
