"""A mirror that follows a run at work, and what is told when it ends before the run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.process.mirror_watch import MirrorWatch
from fixed_home import build
from runs.events import EventReader, EventWriter
from runs.jsonfiles import read_json, write_json
from runs.live_mirror import Place, attach, follow, lock_of, mirror_words, places_of
from runs.locks import FileLock
from runs.store import Run, Store


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("live-mirror")
    return Store(folder).find(build(folder)["baseline"])


def test_a_mirror_follows_a_run_to_its_end(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="not installed: pip install 'advtui[tensorboard]'")
    arguments = [str(run.path), "tensorboard", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "runs.live_mirror", *arguments], capture_output=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_a_mirror_of_a_resumed_run_awaits_its_worker(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the worker has begun, the run still has the end of its earlier attempt."""
    pytest.importorskip("tensorboard", reason="not installed: pip install 'advtui[tensorboard]'")
    resumed = Run(tmp_path / "runs" / run.id)
    shutil.copytree(run.path, resumed.path)
    result_file = resumed.path / "result.json"
    result = read_json(result_file)
    assert result is not None
    write_json(result_file, {**result, "state": "interrupted"})
    looks: list[float] = []

    def next_look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:  # the worker has begun
            result_file.unlink()
            EventWriter(resumed.events_path).write("log", level="info", message="begun")
        if len(looks) == 4:
            write_json(result_file, {**result, "state": "interrupted"})

    monkeypatch.setattr("runs.live_mirror.time.sleep", next_look)
    follow(resumed, Place("tensorboard", tmp_path / "logs"))
    assert len(looks) == 4


def test_a_logger_that_fails_is_told_in_the_log(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    arguments = [str(run.path), "tensorboard", str(taken)]
    ended = subprocess.run(
        [sys.executable, "-m", "runs.live_mirror", *arguments], capture_output=True, timeout=60
    )
    assert ended.returncode == 1
    assert b"the mirror in tensorboard ended: UserError: " in ended.stdout


def test_the_end_of_a_mirror_is_told_once(run: Run) -> None:
    assert places_of(run) == []
    attach(run, [Place("mlflow", Path("/elsewhere"))])
    events = EventWriter(run.events_path)
    watch = MirrorWatch(run, events)
    watch.look()  # it has not begun
    with FileLock(lock_of(run, "mlflow")):
        watch.look()
        assert mirror_words(run) == "mlflow in /elsewhere (at work)"
    watch.look()
    watch.look()
    events.close()
    told = [event for event in EventReader(run.events_path).new() if event["kind"] == "log"]
    assert ["the mirror in mlflow has ended" in event["message"] for event in told] == [True]
    assert mirror_words(run) == "mlflow in /elsewhere"
