"""A worker that is suspended lives: its lock says so, however long it is silent."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner, Result
from waiting_worker import Waiting, waiting_worker

from advtui_process import TINY, Command, wait_for
from runs.errors import UserError
from runs.event_types import Event
from runs.jsonfiles import read_json, write_json
from runs.launch import end_by_force, request_stop, start_worker, worker_pid
from runs.spec import TrainSpec
from runs.store import Run, Store
from tui.cli import app
from tui.commands import follow
from tui.commands.live_view import PlainView, View


def advtui(*words: str) -> Result:
    """The command in this process, where a test has set the length of the silence."""
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


@pytest.fixture
def suspended(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    """A worker that is suspended, and silent for longer than a worker may be."""
    with waiting_worker(home) as waiting:
        waiting.suspend()
        monkeypatch.setattr("runs.run_state.SILENCE_S", -1.0)
        yield waiting


def who(waiting: Waiting) -> str:
    launch: Any = read_json(waiting.run.path / "launch.json")
    return f"process {waiting.process.pid} on {launch['host']}, since "


def test_it_is_unresponsive_and_show_and_runs_say_so(suspended: Waiting) -> None:
    run = suspended.run
    assert run.state() == "unresponsive"
    shown = advtui("show", run.id).stdout.splitlines()[0]
    assert shown.startswith(f"{run.id}  ◎ unresponsive, no sign of life for ")
    assert who(suspended) in shown
    assert "◎ unresponsive" in advtui("runs").stdout
    rows = {row["id"]: row for row in json.loads(advtui("runs", "--json").stdout)}
    assert rows[run.id]["state"] == "unresponsive"
    assert abs(rows[run.id]["last_sign"] - time.time()) < 120


def test_rm_refuses_it_and_leaves_its_folder(suspended: Waiting) -> None:
    done = advtui("rm", "--yes", suspended.run.id)
    assert isinstance(done.exception, UserError)
    assert "is unresponsive, and its worker lives: stop it first" in str(done.exception)
    assert suspended.run.path.is_dir()


def test_resume_says_who_has_it(suspended: Waiting) -> None:
    done = advtui("resume", suspended.run.id)
    assert isinstance(done.exception, UserError)
    assert f"is unresponsive, carried out by {who(suspended)}" in str(done.exception)
    assert f"advtui watch {suspended.run.id}" in str(done.exception)


def test_a_stop_reaches_it_when_it_wakes(suspended: Waiting) -> None:
    done = advtui("stop", suspended.run.id)
    assert done.exit_code == 0
    assert "it is unresponsive (process" in done.stderr
    suspended.wake()
    assert suspended.process.wait(60) == 130
    assert suspended.run.state() == "interrupted"


class WakesIt(View):
    """A view that wakes the worker once it has looked at it a few times."""

    def __init__(self, waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
        self._waiting, self._monkeypatch = waiting, monkeypatch
        self.looks = 0
        self.events: list[str] = []

    def event(self, run: Run, event: Event) -> None:  # noqa: ARG002
        self.events.append(event["kind"])

    def refresh(self) -> None:
        self.looks += 1
        if self.looks == 3:
            self._monkeypatch.setattr("runs.run_state.SILENCE_S", 30.0)
            self._waiting.wake()
            self._waiting.process.terminate()


def test_watch_goes_on_when_it_wakes(suspended: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    view = WakesIt(suspended, monkeypatch)
    assert follow.follow(suspended.run, None, view) == 130
    assert view.looks >= 3
    assert "ended" in view.events


def test_once_it_is_killed_it_is_lost_and_can_be_deleted(suspended: Waiting) -> None:
    suspended.process.kill()
    suspended.process.wait()
    assert suspended.run.state() == "lost"
    assert "? lost, last heard of" in advtui("show", suspended.run.id).stdout
    assert advtui("rm", "--yes", suspended.run.id).exit_code == 0
    assert not suspended.run.path.exists()


def test_a_lost_run_of_another_host_names_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Store(home).create(TrainSpec(data="digits"))
    write_json(run.path / "launch.json", {"host": "gpu-7", "pid": 4242, "process_start": 1.8e9})
    monkeypatch.setattr("runs.run_state.SILENCE_S", -1.0)
    assert run.state() == "lost"
    assert "lost, last heard of on gpu-7 " in advtui("show", run.id).stdout
    watched = advtui("watch", run.id)
    assert watched.exit_code == 1
    assert f"{run.id} is lost: last heard of on gpu-7 " in watched.stderr


def test_two_that_race_for_one_run_leave_one_worker_and_the_other_is_told(home: Path) -> None:
    with waiting_worker(home) as waiting:
        loser = start_worker(waiting.run)
        with pytest.raises(UserError) as error:
            follow.follow(waiting.run, loser, PlainView())
        assert f"is queued, carried out by {who(waiting)}" in str(error.value)
        assert waiting.process.poll() is None
        assert f"is being carried out by {who(waiting)}" in waiting.run.log_path.read_text()


def test_a_worker_whose_folder_was_taken_away_ends_and_says_so(home: Path) -> None:
    with waiting_worker(home) as waiting:
        elsewhere = home / "elsewhere"
        shutil.move(waiting.run.path, elsewhere)
        assert waiting.process.wait(60) == 1
        sentence = f"{waiting.run.path} was taken away: the worker ends"
        wait_for(lambda: sentence in (elsewhere / "worker.log").read_text(), 10)
        assert not waiting.run.path.exists()


def test_force_ends_it_and_leaves_a_run_that_can_be_resumed(
    suspended: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.launch.FORCE_S", 1.0)
    done = advtui("stop", "--force", suspended.run.id)
    assert done.exit_code == 0, done.output
    assert f"{suspended.run.id} is interrupted: advtui resume continues it" in done.stderr
    assert suspended.process.poll() is not None
    assert suspended.run.state() == "interrupted"


def test_a_copied_folder_ends_nobodys_worker(suspended: Waiting) -> None:
    copy = Run(suspended.run.path.with_name(suspended.run.id[:-4] + "0000"))
    shutil.copytree(suspended.run.path, copy.path)
    assert worker_pid(suspended.run) == suspended.process.pid
    assert worker_pid(copy) is None
    assert end_by_force([copy]) == [copy]
    request_stop(copy)
    suspended.wake()
    time.sleep(1.0)
    assert suspended.process.poll() is None


@pytest.mark.slow
def test_force_ends_a_study_with_its_child_and_leaves_both_interrupted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.launch.FORCE_S", 1.0)
    command, store = Command(home), Store(home)
    started = command("study", *TINY, "--epochs", "500", "--share", "--detach")
    study = store.find(started.stdout.strip())

    def at_work() -> list[Run]:
        children = store.children(study)
        return children if children and children[0].checkpoints() else []

    wait_for(at_work)
    (child,) = at_work()
    workers = [worker_pid(run) for run in (study, child)]
    assert all(workers)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # type: ignore[arg-type]
    done = advtui("stop", "--force", study.id)
    assert done.exit_code == 0, done.output
    assert [run.state() for run in (study, child)] == ["interrupted", "interrupted"]
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in workers if pid), 20)
    assert not child.has_worker
