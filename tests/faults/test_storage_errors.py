"""Errors of the storage in sentences, whole lines, flushed folders, and the space a run needs."""

import errno
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest

from runs.events import EventReader, EventWriter
from runs.jsonfiles import write_json
from runs.presets import preset
from runs.space import checkpoint_bytes, needed_bytes, shortage
from runs.storage import StorageError, megabytes, mount_point, writing
from runs.store import Store
from tiny_training import carried_out, tiny

TRAIN = tiny(epochs=1, train_limit=64, threads=1)


def test_what_a_run_needs_is_compared_with_what_is_free(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(TRAIN)
    monkeypatch.setattr("runs.space.free_bytes", lambda _: 100_000)
    assert shortage(run, TRAIN) == (
        f"this run needs about {megabytes(needed_bytes(TRAIN))}, and 0.1 MB are free on "
        f"{mount_point(store.home)}: make room, or it will fail"
    )
    monkeypatch.setattr("runs.space.free_bytes", lambda _: 1_000_000_000)
    assert shortage(run, TRAIN) is None


@pytest.mark.parametrize(
    "averaged",
    [{"ema_decay": 0.9}, {"ema_decay": 0.0}, {"ema_decay": 0.0, "swa_start": 0.5, "epochs": 2}],
    ids=["moving average", "none", "equal average"],
)
def test_the_size_of_a_checkpoint_is_known_before_it_is_written(
    averaged: dict[str, float], tmp_path: Path
) -> None:
    spec = tiny(**{"epochs": 1, "train_limit": 64, "width": 16, **averaged})
    run, _ = carried_out(tmp_path, spec)
    size = run.checkpoint("last").stat().st_size
    assert checkpoint_bytes(spec) == pytest.approx(size, rel=0.2)


def test_a_study_needs_what_its_children_need() -> None:
    spec = preset("demo")
    roles: tuple[Literal["baseline", "robust"], ...] = ("baseline", "robust")
    trainings = [needed_bytes(spec.child(role)) for role in roles]
    assert needed_bytes(spec) > sum(trainings)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, r"no space left on \S+: 12 MB needed, [\d.]+ MB free"),
        (errno.EDQUOT, r"the disk quota on \S+ is used up: 12 MB needed"),
        (errno.EROFS, r"\S+/file can't be written: its file system is read-only"),
        (errno.EACCES, r"permission denied: \S+/file"),
    ],
)
def test_an_error_of_the_storage_is_a_sentence_also_behind_that_of_a_library(
    number: int, sentence: str, tmp_path: Path
) -> None:
    def write() -> None:
        with writing(tmp_path / "file", 12_000_000):
            try:
                raise OSError(number, os.strerror(number))
            except OSError:
                raise RuntimeError("unexpected pos 87296 vs 87192")  # noqa: B904 (as torch does)

    with pytest.raises(StorageError) as refused:
        write()
    assert re.fullmatch(sentence, str(refused.value))
    assert refused.value.exit_code == 1


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a fault of ours"), writing(tmp_path / "file"):
        raise ValueError("a fault of ours")


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: write(fd, content[:7]))
    events = EventWriter(tmp_path / "events.jsonl")
    events.write("log", level="info", message="one")
    events.write("log", level="info", message="two")
    events.close()
    read: list[Any] = EventReader(tmp_path / "events.jsonl").new()
    assert [event["message"] for event in read] == ["one", "two"]


def test_a_folder_is_flushed_after_a_file_has_taken_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noted_fsync(fd: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{fd}").readlink() == tmp_path else "file")
        fsync(fd)

    def noted_replace(source: Path, target: Path) -> None:
        order.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_json(tmp_path / "result.json", {})
    assert order == ["file", "replace", "folder"]
