"""No locks, few file handles, a deleted working folder, a clock that was set back."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_in_process import advtui
from whole_home import copy_home

from one_process import carry_out
from runs.events import EventWriter, last_events
from runs.launch import record_worker
from runs.locks import FileLock, is_held
from runs.run_state import SILENCE_S
from runs.store import Run, Store
from runs.worker_identity import has_lease
from tiny_training import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_training_runs_and_says_so(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(epochs=1))
    assert carry_out(run) == 0
    assert run.state() == "completed"
    assert "has no locks" in run.events_path.read_text()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_lease_tells_a_live_worker(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny())
    lock = FileLock(run.lock_path)
    assert lock.try_acquire()
    assert not lock.is_supported
    lock.release()
    assert is_held(run.lock_path) is None
    assert not run.has_worker
    later = time.time() + 60
    assert run.state(later) == "lost"
    record_worker(run)
    assert run.has_worker
    assert run.state(later) == "unresponsive"
    assert carry_out(run) == 1  # another worker has it

    launch = json.loads((run.path / "launch.json").read_text())
    (run.path / "launch.json").write_text(json.dumps({**launch, "boot": "of another time"}))
    assert not run.has_worker


def test_a_lease_of_another_host_lasts_as_long_as_its_heartbeat(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny())
    record_worker(run)
    launch = json.loads((run.path / "launch.json").read_text())
    (run.path / "launch.json").write_text(json.dumps({**launch, "host": "gpu-7"}))
    events = EventWriter(run.events_path)
    events.write("heartbeat", phase="running")
    events.close()
    assert has_lease(run.path, run.last_sign, SILENCE_S)
    old = run.events_path.read_text().replace(
        f'"t": {last_events(run.events_path)[0]["t"]}', '"t": 9'
    )
    run.events_path.write_text(old)
    assert not has_lease(run.path, run.last_sign, SILENCE_S)


def test_after_the_clock_was_set_back_a_dead_run_is_lost(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny())
    ahead = time.time() + 3 * 86_400
    lines = [
        {"v": 1, "t": ahead, "kind": "started", "attempt": 1},
        {"v": 1, "t": ahead + 9, "kind": "heartbeat", "phase": "running"},
    ]
    run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run.state() == "lost"
    lock = FileLock(run.lock_path)
    assert lock.try_acquire()
    assert run.state() == "running"
    lock.release()
    listed = json.loads(advtui(tmp_path, "runs", "--json").stdout)[0]
    assert 0 <= listed["working_seconds"] <= 9
    assert listed["waiting_seconds"] >= 0
    assert advtui(tmp_path, "show", run.id).code == 0


def in_process(
    code: str, home: Path, folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """A process that does ``code`` and then carries out the command."""
    whole = f"import os, sys\nimport tui.cli, tui.commands.show_run, tui.__main__\n{code}\n"
    whole += "from tui.__main__ import main\nsys.argv = ['advtui', *sys.argv[1:]]\nsys.exit(main())"
    environment = {**os.environ, "ADVTUI_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", whole, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


NO_HANDLES = """
import resource
from tui.render import run_table
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True: os.open('/dev/null', 0)
except OSError: pass
"""


@pytest.mark.parametrize("words", [("runs",), ("show", "@1"), ("runs", "--json")])
def test_no_file_handle_left(words: tuple[str, ...], tmp_path: Path) -> None:
    copy_home(tmp_path / "home")
    done = in_process(NO_HANDLES, tmp_path / "home", tmp_path, *words)
    assert done.returncode == 1, done
    assert "too many files are open" in done.stderr
    assert done.stdout == ""


def test_a_deleted_working_folder(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "gone"
    attack = copy_home(home)["attack"]
    for words in (("runs",), ("show", attack), ("compare", attack)):
        folder.mkdir()
        done = in_process("os.rmdir(os.getcwd())", home, folder, *words)
        assert done.returncode == 0, done
    folder.mkdir()
    done = in_process("os.rmdir(os.getcwd())", home, folder, "export", attack, "-o", "x.tar.gz")
    assert done.returncode == 2, done
    assert "the working folder was deleted" in done.stderr


def test_a_worker_in_a_deleted_folder_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Store(tmp_path / "home").create(tiny())
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    record_worker(run)
    assert json.loads((run.path / "launch.json").read_text())["folder"] is None
    assert Run(run.path).state() == "queued"
