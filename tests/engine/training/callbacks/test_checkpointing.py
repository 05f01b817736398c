"""Checkpoints: how they reach the disk, which are kept, when a training ends, averaged weights."""

import os
from pathlib import Path
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from engine.models.checkpoint import read_checkpoint
from engine.training.callbacks.averaging import Averaging, EqualAveraging, moving_average
from engine.training.callbacks.checkpointing import AtomicCheckpointIO, keepers
from engine.training.callbacks.stopping import Patience
from engine.training.trainer import _averaging
from lightning_checkpoint import content, names
from runs.checksums import sha256_of
from runs.spec import TrainSpec
from runs.storage import StorageError

# --- writing ---------------------------------------------------------------------------------


def test_a_checkpoint_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    for step in (1, 2):  # the second replaces the first
        AtomicCheckpointIO().save_checkpoint({**content(), "global_step": step}, path)
        assert read_checkpoint(path)["global_step"] == step
        assert names(path.parent) == ["last.ckpt"]


class Unpicklable:
    def __reduce__(self) -> tuple[Any, ...]:
        raise OSError("no space left on device")


@pytest.mark.parametrize("before", [None, 1], ids=["the first", "a later one"])
@pytest.mark.parametrize("failing", ["save", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_checkpoint_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None, failing: str
) -> None:
    path = tmp_path / "last.ckpt"
    if before is not None:
        AtomicCheckpointIO().save_checkpoint({**content(), "global_step": before}, path)
    new: dict[str, Any] = {**content(), "global_step": 2}

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    if failing == "save":
        new["callbacks"] = Unpicklable()
    else:
        monkeypatch.setattr(os, failing, fail)
    with pytest.raises(StorageError, match="no space left"):
        AtomicCheckpointIO().save_checkpoint(new, path)
    assert names(tmp_path) == ([] if before is None else ["last.ckpt"])
    if before is not None:
        assert read_checkpoint(path)["global_step"] == before


def test_the_target_is_whole_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 1}, path)
    seen = []
    save = torch.save

    def watch(what: Any, stream: Any) -> None:
        seen.append(read_checkpoint(path)["global_step"])
        save(what, stream)
        seen.append(read_checkpoint(path)["global_step"])

    monkeypatch.setattr(torch, "save", watch)
    AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 2}, path)
    assert seen == [1, 1]


def test_the_sum_that_is_reported_is_that_of_the_file(tmp_path: Path) -> None:
    path, told = tmp_path / "last.ckpt", []
    writer = AtomicCheckpointIO(lambda name, _, sha256: told.append((name, sha256)))
    writer.save_checkpoint({**content(), "epoch": 0, "global_step": 1}, path)
    assert told == [("last", sha256_of(path))]


def test_a_disk_that_returns_other_data_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 1}, path)
    save = torch.save

    def save_and_damage(what: Any, stream: Any) -> None:
        save(what, stream)
        stream.flush()
        (beside,) = set(tmp_path.iterdir()) - {path}
        with beside.open("r+b") as file:
            file.write(b"damaged")

    monkeypatch.setattr(torch, "save", save_and_damage)
    with pytest.raises(StorageError, match="its file system returns other data"):
        AtomicCheckpointIO().save_checkpoint({**content(), "global_step": 2}, path)
    assert read_checkpoint(path)["global_step"] == 1
    assert names(tmp_path) == ["last.ckpt"]


# --- keeping ---------------------------------------------------------------------------------

CLEAN = [0.1, 0.5, 0.4, 0.5, 0.3]
ROBUST = [0.1, 0.2, 0.2, 0.4, 0.3]


class Climbing(pl.LightningModule):
    """One weight, which grows by one a step; metrics as told."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters({"of": "a test"})
        self.weight = nn.Parameter(torch.zeros(()))
        self.validated: list[float] = []

    def training_step(self, part: Tensor, batch_idx: int) -> Tensor:  # noqa: ARG002
        return -self.weight

    def validation_step(self, part: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        self.validated.append(self.weight.item())
        self.log("val_accuracy", CLEAN[self.current_epoch], batch_size=1)
        self.log("val_robust_accuracy", ROBUST[self.current_epoch], batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(folder: Path, callbacks: list[pl.Callback], steps: int = 1) -> Climbing:
    climbing = Climbing()
    steps_of_an_epoch = cast("torch.utils.data.Dataset[Tensor]", torch.zeros(steps))
    loader = torch.utils.data.DataLoader(steps_of_an_epoch, batch_size=1)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(CLEAN),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(climbing, loader, loader)
    return climbing


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
def test_the_best_clean_the_best_robust_and_the_last_epoch_are_kept(tmp_path: Path) -> None:
    fit(tmp_path, [*keepers(tmp_path)])
    found = {path.stem: read_checkpoint(path) for path in tmp_path.iterdir()}
    assert set(found) == {"best_clean", "best_robust", "last"}
    # Weights after an epoch are its number plus one; the earlier of two equals stays.
    weights = {name: float(what["state_dict"]["weight"]) for name, what in found.items()}
    assert weights == {"best_clean": 2.0, "best_robust": 4.0, "last": 5.0}


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize(("epochs", "ended"), [(1, 3), (2, 5)])
def test_a_training_ends_when_robust_accuracy_has_not_risen_for_so_long(
    tmp_path: Path, epochs: int, ended: int
) -> None:
    climbing = fit(tmp_path, [Patience(epochs), *keepers(tmp_path)])
    assert climbing.weight.item() == ended  # one step an epoch
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == ended - 1
    assert "callbacks" in read_checkpoint(tmp_path / "best_robust.ckpt")


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize("decay", [0.05, 0.5, 0.999])
def test_checkpoints_hold_the_warmed_up_moving_average(tmp_path: Path, decay: float) -> None:
    keeping = keepers(tmp_path)
    climbing = fit(tmp_path, [moving_average(decay), *keeping], steps=3)
    saved = read_checkpoint(tmp_path / "last.ckpt")["state_dict"]["weight"]
    average = None
    for n in range(15):
        now = n + 1.0
        if average is None:
            average = now
        else:
            own = min(decay, (1 + n) / (10 + n))
            average = own * average + (1 - own) * now
    assert float(saved) == pytest.approx(average, rel=1e-5)
    assert climbing.weight.item() == pytest.approx(average, rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*dirpath.*")
@pytest.mark.parametrize("first", [0, 2, 4])
def test_equal_averaging_keeps_the_mean_of_the_weights_of_its_epochs(
    tmp_path: Path, first: int
) -> None:
    climbing = fit(tmp_path, [EqualAveraging(first, 3), *keepers(tmp_path)], steps=3)
    ends = [3.0, 6.0, 9.0, 12.0, 15.0]  # weights at the ends of the epochs
    means = [
        end if epoch < first else sum(ends[first : epoch + 1]) / (epoch + 1 - first)
        for epoch, end in enumerate(ends)
    ]
    assert climbing.weight.item() == pytest.approx(means[-1])
    validated = {epoch: climbing.validated[3 * epoch] for epoch in range(5)}
    assert list(validated.values()) == pytest.approx(means)  # what is validated is what is kept
    kept = {path.stem: read_checkpoint(path) for path in tmp_path.iterdir()}
    for name, epoch in (("best_clean", 1), ("best_robust", 3), ("last", 4)):
        assert kept[name]["epoch"] == epoch
        assert float(kept[name]["state_dict"]["weight"]) == pytest.approx(means[epoch])
        assert float(kept[name]["current_model_state"]["weight"]) == ends[epoch]


def test_the_best_score_is_remembered_where_the_home_has_moved(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    best, _, _ = keepers(before)
    best.best_model_score = best.kth_value = torch.tensor(0.7)
    kept = str(before / "best_clean.ckpt")
    best.best_model_path = best.kth_best_model_path = kept
    best.best_k_models = {kept: torch.tensor(0.7)}
    moved, _, last = keepers(now)
    moved.load_state_dict(best.state_dict())
    here = str(now / "best_clean.ckpt")
    assert (moved.best_model_path, moved.kth_best_model_path) == (here, here)
    assert moved.best_k_models == {here: 0.7}
    assert not moved.check_monitor_top_k(cast(Any, FakeTrainer()), torch.tensor(0.6))
    assert moved.check_monitor_top_k(cast(Any, FakeTrainer()), torch.tensor(0.8))
    last.load_state_dict(keepers(before)[2].state_dict())  # nothing kept yet
    assert last.last_model_path == ""


class FakeTrainer:
    """What a keeper asks of the trainer: whether several processes agree."""

    class strategy:
        @staticmethod
        def reduce_boolean_decision(decision: bool) -> bool:
            return decision


@pytest.mark.parametrize(
    ("share", "epochs", "first"), [(0.29, 100, 29), (0.57, 100, 57), (0.5, 5, 3), (0.0, 4, 0)]
)
def test_weights_are_averaged_after_the_share_of_epochs_that_was_asked_for(
    share: float, epochs: int, first: int
) -> None:
    (averaging,) = _averaging(TrainSpec(swa_start=share, epochs=epochs), 3)
    assert isinstance(averaging, Averaging)
    assert [averaging._share(n) for n in (first, first + 1)] == [1, 0.5]
