"""Locks: one holder at a time, let go of however the holder ends."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import runs
from runs.locks import FileLock, is_held

OURS = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[1])}
HOLD = (
    "import sys; from pathlib import Path; from runs.locks import FileLock\n"
    "lock = FileLock(Path(sys.argv[1])); print(lock.try_acquire(), flush=True)\n"
    "sys.stdin.read()\n"
)


def holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=OURS,
    )


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert first.try_acquire() is True
    assert second.try_acquire() is False
    first.release()
    assert second.try_acquire() is True
    second.release()


def test_locks_on_different_files_are_independent(tmp_path: Path) -> None:
    with FileLock(tmp_path / "cuda0"):
        other = FileLock(tmp_path / "cuda1")
        assert other.try_acquire() is True
        other.release()


def test_a_with_block_holds_the_lock_to_its_end(tmp_path: Path) -> None:
    other = FileLock(tmp_path / "lock")

    with FileLock(tmp_path / "lock"):
        assert other.try_acquire() is False

    assert other.try_acquire() is True
    other.release()


def test_the_file_and_its_folder_are_made_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "cpu"

    with FileLock(path):
        assert path.is_file()

    assert path.is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_lock_is_free_again_when_its_process_is_gone(tmp_path: Path, number: int) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    lock = FileLock(path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert lock.try_acquire() is False
    finally:
        process.send_signal(number)
        process.communicate()

    assert lock.try_acquire() is True
    lock.release()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.try_acquire()
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('here', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        close_fds=False,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        lock.release()
        again = FileLock(path)
        assert again.try_acquire() is True
        again.release()
    finally:
        child.communicate()


def test_who_asks_for_a_lock_learns_it_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    lock = FileLock(path)
    assert not is_held(path)
    assert lock.try_acquire()
    assert is_held(path)
    lock.release()
    assert not is_held(path)


def test_two_who_ask_at_once_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open() as asker:
        fcntl.flock(asker, fcntl.LOCK_SH)  # as a process that is asking
        assert not is_held(path)


def test_waiting_for_a_lock_ends_when_it_is_let_go(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    order: list[str] = []

    def wait() -> None:
        second.acquire()
        order.append("acquired")

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(timeout=0.05)
    order.append("released")
    first.release()
    thread.join(timeout=30)

    assert order == ["released", "acquired"]
    second.release()
