"""Checkpoints: which are kept, how they reach the disk, and a model out of one."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO, TorchCheckpointIO
from torch import Tensor, nn

from engine.resnet import PictureClassifier, resnet18
from runs.errors import NotFoundError, UserError
from runs.spec import TrainSpec

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


class Averaging(WeightAveraging):
    """Lightning's averages of weights and BatchNorm statistics; buffers that count are copied.

    PyTorch's own update asks the device for its count, twice in every step, and waits for the
    answer: here the count is on this side. ``share``: what part of the way from the average to
    the weights an update goes after so many updates, in [0, 1]; the first one copies.
    """

    def __init__(self, share: Callable[[int], float]) -> None:
        super().__init__()
        self._share = share
        self._updates = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._average_model is not None
        self._updates = int(self._average_model.n_averaged)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        steps = trainer.global_step
        if steps > self._latest_update_step and self.should_update(step_idx=steps - 1):
            self._update(pl_module)
            self._latest_update_step = steps

    @torch.no_grad()
    def _update(self, module: pl.LightningModule) -> None:
        assert self._average_model is not None
        pairs = list(zip(_tensors(self._average_model.module), _tensors(module), strict=True))
        moved = [pair for pair in pairs if self._updates and pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not (self._updates and pair[0].is_floating_point())]
        if moved:
            averages, weights = ([pair[side] for pair in moved] for side in (0, 1))
            change = torch._foreach_sub(weights, averages)
            torch._foreach_mul_(change, self._share(self._updates))
            torch._foreach_add_(averages, change)
        if copied:
            averages, weights = ([pair[side] for pair in copied] for side in (0, 1))
            torch._foreach_copy_(averages, weights)
        self._updates += 1
        self._average_model.n_averaged.add_(1)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


class EqualAveraging(Averaging):
    """Stochastic weight averaging (Izmailov et al. 2018, algorithm 1): from the epoch ``first``
    (0, 1, …) on the mean of the weights at the ends of epochs, before that the weights themselves.

    The mean is brought up to date with an epoch's last step, so that it is what the epoch
    validates and keeps. BatchNorm statistics are averaged likewise, in place of the authors'
    further pass over the training split; buffers that count are copied.
    """

    def __init__(self, first: int, steps_per_epoch: int) -> None:
        super().__init__(lambda epochs: 1 / max(epochs - first + 1, 1))
        self._steps_per_epoch = steps_per_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self._steps_per_epoch == 0


class Patience(EarlyStopping):
    """Ends a training whose robust accuracy on the validation split has not risen for so many
    epochs. Its count is part of every checkpoint, and an end that was decided stays decided."""

    def __init__(self, epochs: int) -> None:
        super().__init__(MONITORS["best_robust"], mode="max", patience=epochs)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:  # killed when it was about to end
            trainer.should_stop = True


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


def moving_average(decay: float) -> Averaging:
    """Exponential moving average of weights and BatchNorm statistics, warmed up.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that a short training is not
    an average with its random start. Buffers that count are copied.
    """

    return Averaging(lambda updates: max(9 / (10 + updates), 1 - decay))


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
