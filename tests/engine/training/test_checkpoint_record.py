"""The record of a training's checkpoints is what the files hold, wherever its worker was killed."""

import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
import pytorch_lightning as pl
import torch

import runs.events
import runs.jsonfiles
from engine.process.run_context import RunContext
from engine.training import checkpoint_record
from engine.training.callbacks import checkpointing
from engine.training.callbacks.progress import Reporter
from engine.training.checkpoint_record import settle_record
from engine.training.resumption import Resumption, resumption
from engine.training.trainer import train
from runs.event_types import ResumePoint
from runs.events import EventWriter
from runs.result_types import KeptCheckpoint
from runs.snapshot import read_snapshot
from runs.spec import TrainSpec
from runs.store import Run, Store
from tiny_training import NeverStop, tiny

SAVING = {
    module.__file__ for module in (checkpoint_record, checkpointing, runs.events, runs.jsonfiles)
}
"""The files whose lines run from the saving of a checkpoint to its event."""
EPOCHS = 2


def point_of(found: Resumption | None) -> ResumePoint | None:
    return found.point if found else None


def carry_out(run: Run, spec: TrainSpec, attempt: int = 1) -> dict[str, Any]:
    events = EventWriter(run.events_path)
    found = resumption(run, spec)
    events.write("started", attempt=attempt, resumed_from=point_of(found))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what resumes is bit-equal at the same number of threads
    try:
        with torch.random.fork_rng(devices=[]):
            context = RunContext(run, events, NeverStop())  # type: ignore[arg-type]
            return train(context, spec, torch.device("cpu"), found)
    finally:
        torch.set_num_threads(threads)
        events.close()


class KilledAnywhere:
    """Copies a run's folder before every line that saves a checkpoint in the last epoch.

    A worker that is killed leaves its files as they are at that moment: each copy is a run whose
    worker was killed before that line. A line that finds the files as the line before did is left
    out.
    """

    def __init__(self, run: Run, homes: Path) -> None:
        self.lines = 0
        self.copies: list[Run] = []
        self._run, self._homes = run, homes
        self._is_on = False
        self._last: object = None

    def begin(self) -> None:
        self._is_on = True

    def trace(self, frame: FrameType, what: str, _: object) -> Any:
        if frame.f_code.co_filename not in SAVING:
            return None
        if self._is_on and what == "line":
            self.lines += 1
            self._copy()
        return self.trace

    def _copy(self) -> None:
        files = [path for path in self._run.path.rglob("*") if path.is_file()]
        found = sorted((str(f), f.stat().st_ino, f.stat().st_size) for f in files)
        if found != self._last:
            self._last = found
            home = self._homes / str(len(self.copies))
            copy = home / "runs" / self._run.id
            shutil.copytree(self._run.path, copy)
            self.copies.append(Run(copy))


class Training(NamedTuple):
    spec: TrainSpec
    checkpoints: dict[str, KeptCheckpoint]
    """Of the training that nobody killed."""
    killed: KilledAnywhere


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    spec = tiny(train_limit=512, batch_size=16, epochs=EPOCHS, eps="8/255", ema_decay=0.0)
    run = Store(tmp_path_factory.mktemp("home")).create(spec)
    killed = KilledAnywhere(run, tmp_path_factory.mktemp("killed"))
    report = Reporter.on_train_epoch_end

    def begin(self: Reporter, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        report(self, trainer, module)
        if trainer.current_epoch + 1 == EPOCHS:
            killed.begin()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporter, "on_train_epoch_end", begin)
        before = sys.gettrace()
        sys.settrace(killed.trace)
        try:
            result = carry_out(run, spec)
        finally:
            sys.settrace(before)
    return Training(spec, result["checkpoints"], killed)


def files_hold(run: Run) -> dict[str, KeptCheckpoint]:
    """What the files hold, read as plainly as possible."""
    held: dict[str, KeptCheckpoint] = {}
    for name, metric in (
        ("best_clean", "val_accuracy"),
        ("best_robust", "val_robust_accuracy"),
        ("last", None),
    ):
        content = torch.load(run.checkpoint(name), weights_only=True)
        key = next((key for key in content["callbacks"] if f"'{metric}'" in key), None)
        score = None if key is None else float(content["callbacks"][key]["best_model_score"])
        step = content["global_step"]
        held[name] = {"epoch": content["epoch"], "step": step, "monitor": metric, "value": score}
    return held


def test_a_training_that_nobody_killed_records_its_last_epoch_as_the_best(
    training: Training,
) -> None:
    for name in ("best_clean", "best_robust", "last"):  # else the other tests would show nothing
        assert training.checkpoints[name]["epoch"] == EPOCHS - 1
    assert training.killed.lines > 30
    assert len(training.killed.copies) > 9  # three files and three events


def test_wherever_it_was_killed_the_events_tell_after_a_resume_what_the_files_hold(
    training: Training,
) -> None:
    is_wrong_before = []
    for run in training.killed.copies:
        is_wrong_before.append(read_snapshot(run).checkpoints != files_hold(run))
        events = EventWriter(run.events_path)
        events.write("started", attempt=2, resumed_from=point_of(resumption(run, run.spec)))  # type: ignore[arg-type]
        assert settle_record(run, events) == files_hold(run)
        events.close()
        assert read_snapshot(run).checkpoints == files_hold(run)
    assert any(is_wrong_before)


@pytest.mark.parametrize(
    "trained",
    [
        pytest.param(False, id="before last was saved", marks=pytest.mark.slow),
        pytest.param(True, id="after last was saved"),  # the epoch is not repeated
    ],
)
def test_wherever_it_was_killed_it_ends_with_the_same_record_once_resumed(
    training: Training, tmp_path: Path, trained: bool
) -> None:
    copies = [
        run
        for run in training.killed.copies
        if (files_hold(run)["last"]["epoch"] == EPOCHS - 1) is trained
    ]
    assert copies
    for number, run in enumerate(copies if trained else copies[::2]):  # an epoch each
        resumed = Run(tmp_path / str(number) / "runs" / run.id)
        shutil.copytree(run.path, resumed.path)
        result = carry_out(resumed, training.spec, attempt=2)
        assert result["checkpoints"] == training.checkpoints == files_hold(resumed)
        assert read_snapshot(resumed).checkpoints == training.checkpoints


def test_a_damaged_checkpoint_is_left_out_of_the_record(training: Training, tmp_path: Path) -> None:
    run = Run(tmp_path / "runs" / training.killed.copies[-1].id)
    shutil.copytree(training.killed.copies[-1].path, run.path)
    run.checkpoint("best_clean").write_bytes(b"half a check")
    events = EventWriter(run.events_path)
    assert set(settle_record(run, events)) == {"best_robust", "last"}
    events.close()
