"""Workers: started in a session of their own, known again, asked to stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import runs
from runs.errors import UserError
from runs.events import EventReader
from runs.jsonfiles import read_json, write_json
from runs.launch import (
    other_host,
    record_worker,
    request_stop,
    start_worker,
    worker_pid,
    worker_words,
)
from runs.locks import FileLock
from runs.spec import TrainSpec
from runs.store import Run, Store
from runs.worker_identity import identity

DEADLINE_S = 60.0
ROOT = Path(runs.__file__).parents[1]

FAKE_ENGINE = """
import json, os, sys
print(json.dumps({
    "command": sys.orig_argv[1:],
    "safe_path": sys.flags.safe_path,
    "inherited": os.environ.get("PYTHONSAFEPATH"),
    "session": os.getsid(0) == os.getpid(),
    "input": sys.stdin.read(),
}))
print("to stderr", file=sys.stderr)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Store(tmp_path / "home").create(TrainSpec())


@pytest.fixture
def our_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find our engine also where the project is not installed."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), before))))


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    yield process
    process.communicate()


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if condition():
            return True
    return False


def record(run: Run, process: subprocess.Popen[bytes], **changes: Any) -> None:
    write_json(run.path / "launch.json", {**identity(process.pid), **changes})


# Start


def test_a_worker_is_python_p_m_engine_with_the_runs_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "engine"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE_ENGINE)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))

    process = start_worker(run)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert process.wait(DEADLINE_S) == 0

    first, second = run.log_path.read_text().splitlines()
    assert json.loads(first) == {
        "command": ["-P", "-m", "engine", str(run.path)],
        "safe_path": True,
        "inherited": "1",
        "session": True,
        "input": "",
    }
    assert second == "to stderr"


@pytest.mark.usefixtures("our_packages")
def test_a_worker_whose_spec_is_wrong_leaves_the_sentence_and_exit_code_2(run: Run) -> None:
    fields = read_json(run.path / "spec.json") or {}
    write_json(run.path / "spec.json", {**fields, "epochs": -1})

    process = start_worker(run)

    assert process.wait(DEADLINE_S) == 2
    result: Any = run.result
    assert result is not None
    sentence = "epochs: input should be greater than or equal to 1, not -1"
    assert result["error"] == {"message": sentence, "exit_code": 2}
    assert (result["v"], result["kind"], result["attempt"]) == (1, "train", 1)
    assert run.state() == result["state"] == "failed"
    events = EventReader(run.events_path).new()
    assert events[0]["kind"] == "heartbeat"
    assert [e["message"] for e in events if e["kind"] == "log"] == [sentence]
    ended: Any = events[-1]
    assert (ended["kind"], ended["state"]) == ("ended", "failed")
    assert not run.was_started
    recorded = read_json(run.path / "launch.json") or {}
    assert (recorded["pid"], recorded["host"]) == (process.pid, socket.gethostname())
    assert worker_pid(run) is None
    assert not run.has_worker


@pytest.mark.usefixtures("our_packages")
def test_a_stray_engine_in_the_working_folder_is_not_picked_up(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine.py").write_text("print('stray'); raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    (run.path / "spec.json").unlink()

    assert start_worker(run).wait(DEADLINE_S) == 2
    log = run.log_path.read_text()
    assert log.startswith("usage: python -P -m engine RUN_DIR")
    assert "stray" not in log


@pytest.mark.usefixtures("our_packages")
def test_the_log_of_an_earlier_attempt_is_kept(run: Run) -> None:
    run.log_path.write_text("earlier\n")
    (run.path / "spec.json").unlink()

    start_worker(run).wait(DEADLINE_S)

    assert run.log_path.read_text().startswith("earlier\nusage: ")


@pytest.mark.usefixtures("our_packages")
def test_a_run_has_one_worker_at_a_time(run: Run) -> None:
    with FileLock(run.path / "lock"):
        process = start_worker(run)
        assert process.wait(DEADLINE_S) == 1

    assert "is being carried out by another worker" in run.log_path.read_text()
    assert run.result is None
    assert not run.events_path.exists()


def test_a_stop_asked_of_an_earlier_attempt_does_not_reach_the_next(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_stop(run)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: None)

    start_worker(run)

    assert not (run.path / "stop").exists()


def test_a_log_that_cannot_be_written_is_refused_in_a_sentence(run: Run) -> None:
    run.log_path.mkdir()

    with pytest.raises(UserError, match=r"worker\.log can't be written: "):
        start_worker(run)


# Know again


def test_a_worker_that_lives_here_is_known_by_what_it_recorded(run: Run) -> None:
    assert worker_pid(run) is None

    record_worker(run)

    recorded = read_json(run.path / "launch.json") or {}
    expected = {"host", "boot", "pid", "process_start", "run", "scheduler_id", "folder"}
    assert recorded.keys() == expected
    assert recorded["run"] == str(run.path.resolve())
    assert recorded["folder"] == str(Path.cwd())
    assert worker_pid(run) == os.getpid()


def test_the_schedulers_id_is_recorded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")

    record_worker(run)

    assert (read_json(run.path / "launch.json") or {})["scheduler_id"] == "4711"


@pytest.mark.parametrize("field", ["process_start", "host", "boot"])
def test_another_process_of_the_same_pid_is_not_the_worker(run: Run, field: str) -> None:
    record_worker(run)
    recorded = read_json(run.path / "launch.json") or {}
    other = recorded[field] - 60 if field == "process_start" else "another"

    write_json(run.path / "launch.json", {**recorded, field: other})
    assert worker_pid(run) is None
    write_json(run.path / "launch.json", {k: v for k, v in recorded.items() if k != field})
    assert worker_pid(run) is None


def test_a_worker_that_is_gone_is_none(run: Run, child: subprocess.Popen[bytes]) -> None:
    record(run, child)
    assert worker_pid(run) == child.pid

    child.communicate()

    assert worker_pid(run) is None


def test_a_zombie_is_no_worker(run: Run, child: subprocess.Popen[bytes]) -> None:
    record(run, child)
    assert child.stdin is not None
    child.stdin.close()
    child.stdin = None

    process = psutil.Process(child.pid)
    assert until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert worker_pid(run) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": None},
        {"pid": "1"},
        {"pid": -1},
        {"pid": 2**22 + 1},
        {"process_start": None},
        {"process_start": "yesterday"},
    ],
)
def test_junk_in_launch_json_names_no_worker(run: Run, changes: dict[str, Any]) -> None:
    record_worker(run)
    recorded = read_json(run.path / "launch.json") or {}

    write_json(run.path / "launch.json", {**recorded, **changes})

    assert worker_pid(run) is None


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1', "{}"])
def test_a_torn_launch_json_names_no_worker(run: Run, content: str) -> None:
    (run.path / "launch.json").write_text(content)

    assert worker_pid(run) is None


def test_a_worker_is_named_by_its_process_host_and_beginning(run: Run) -> None:
    assert worker_words(run) == "another worker"
    record_worker(run)
    assert worker_words(run).startswith(f"process {os.getpid()} on {socket.gethostname()}, since ")
    launch = {"host": "gpu-7", "pid": 4242, "process_start": 1_795_400_000.4}
    write_json(run.path / "launch.json", launch)
    assert worker_words(run) == "process 4242 on gpu-7, since 11-23 02:13:20 UTC"
    write_json(run.path / "launch.json", {**launch, "process_start": -1e30})
    assert worker_words(run) == "another worker"


def test_only_a_worker_of_another_host_has_another_host(run: Run) -> None:
    assert other_host(run) is None
    record_worker(run)
    assert other_host(run) is None
    write_json(run.path / "launch.json", {"host": "gpu-7"})
    assert other_host(run) == "gpu-7"
    write_json(run.path / "launch.json", {"host": 7})
    assert other_host(run) is None


def test_who_holds_the_lock_carries_the_run_out(run: Run) -> None:
    assert not run.has_worker
    with FileLock(run.path / "lock"):
        assert run.has_worker
    assert not run.has_worker


# Stop


def test_a_request_to_stop_leaves_a_file_for_a_worker_on_any_host(run: Run) -> None:
    request_stop(run)

    assert (run.path / "stop").is_file()
    request_stop(run)  # again is no error


def test_a_request_to_stop_signals_the_worker_of_this_host(
    run: Run, child: subprocess.Popen[bytes]
) -> None:
    record(run, child)

    request_stop(run)

    assert (run.path / "stop").is_file()
    assert child.wait(DEADLINE_S) == -signal.SIGTERM


def test_a_request_that_is_repeated_signals_only_if_the_stop_shall_be_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled = []
    monkeypatch.setattr(os, "kill", lambda _, number: signalled.append(number))
    record_worker(run)

    request_stop(run)
    request_stop(run)
    assert signalled == [signal.SIGTERM]
    request_stop(run, at_once=True)
    assert signalled == [signal.SIGTERM] * 2


@pytest.mark.parametrize(
    "changes", [{"host": "another"}, {"boot": "another"}, {"process_start": 1}]
)
def test_a_request_to_stop_signals_nobody_else(
    run: Run,
    child: subprocess.Popen[bytes],
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signalled = []
    monkeypatch.setattr(os, "kill", lambda *arguments: signalled.append(arguments))
    record(run, child, **changes)

    request_stop(run)

    assert not signalled
    assert (run.path / "stop").is_file()


def test_a_worker_that_ends_meanwhile_is_no_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    record_worker(run)

    request_stop(run)

    assert (run.path / "stop").is_file()
