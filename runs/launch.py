"""Start a worker, recognise it again, and ask it to stop.

A worker is a process of its own in its own session, with its output in the run's folder: it
outlives the terminal that started it. A pid is not an identity (pids are reused, and mean nothing
on another host), so a worker records its host, boot id and process start time beside it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.jsonfiles import read_json, write_json
from runs.locks import FileLock, is_held
from runs.storage import StorageError, writing
from runs.store import SILENCE_S, Run, Store, discard

if TYPE_CHECKING:  # following and stopping a run needs no validation, and so no pydantic
    from runs.spec import AnySpec


STOP_FILE = "stop"
FORCE_S = 10.0
"""Seconds that a worker has to end by itself before it is killed."""
_WORKER_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",  # its log is UTF-8, whatever the locale
    "PYTHONIOENCODING": "utf-8",
}


def begin(
    store: Store, spec: "AnySpec", tags: Sequence[str]
) -> tuple[Run, subprocess.Popen[bytes]]:
    """Check what needs no torch, create the run, and start its worker.

    Raises:
        UserError: see :func:`runs.checks.check_request`; or the home can't be written; no run
            remains.
    """
    from runs.checks import check_request

    check_request(spec, store.home)
    return create_and_start(store, spec, tags)


def create_and_start(
    store: Store,
    spec: "AnySpec",
    tags: Sequence[str],
) -> tuple[Run, subprocess.Popen[bytes]]:
    """Create a run and start its worker.

    Raises:
        UserError: the home can't be written; no run remains.
    """
    run = store.create(spec)
    try:
        if tags:
            run.set_meta(tags=list(dict.fromkeys(tags)))
        return run, start_worker(run)
    except BaseException:
        discard(run)
        raise


def start_worker(run: Run) -> subprocess.Popen[bytes]:
    """Start ``python -P -m engine RUN_DIR`` in a session of its own; returns at once.

    Raises:
        StorageError: the run's log can't be written.
    """
    with writing(run.log_path):
        (run.path / STOP_FILE).unlink(missing_ok=True)
        log = run.log_path.open("ab")
    with log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engine", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **_WORKER_ENVIRONMENT},
        )


def record_worker(run: Run) -> None:
    """Write launch.json, the identity of this process as the run's worker."""
    scheduler = os.environ.get("SLURM_JOB_ID")
    write_json(
        run.path / "launch.json",
        {
            **_identity(os.getpid()),
            "run": str(run.path.resolve()),  # a copy of the folder has another worker, or none
            "scheduler_id": scheduler,
            "folder": _working_folder(),
        },
    )


def _working_folder() -> str | None:
    with contextlib.suppress(FileNotFoundError):  # it was deleted
        return str(Path.cwd())
    return None


def _identity(pid: int) -> dict[str, Any]:
    import psutil

    return {
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pid": pid,
        "process_start": psutil.Process(pid).create_time(),
    }


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def worker_pid(run: Run) -> int | None:
    """The worker's pid if it is a live process of this host, else None."""
    import psutil

    launch = read_json(run.path / "launch.json") or {}
    pid, began = launch.get("pid"), launch.get("process_start")
    if not isinstance(pid, int) or pid <= 0 or not isinstance(began, int | float):
        return None
    if launch.get("run") not in (None, str(run.path.resolve())):  # None: of an older version
        return None
    try:
        here = _identity(pid)
        zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    same = all(here[key] == launch.get(key) for key in ("host", "boot"))
    return pid if same and not zombie and abs(here["process_start"] - began) < 1.0 else None


def is_carried_out(run: Run) -> bool:
    """Whether a live worker holds the run's lock; of another host only where locks reach it.

    Where the file system of the home has no locks, :func:`has_lease` tells.
    """
    held = is_held(run.lock_path)
    return has_lease(run) if held is None else held


def has_lease(run: Run) -> bool:
    """Whether a worker lives by launch.json and the events, for file systems without locks.

    The worker is a live process of this host, or was heard of on another host within the last
    30 s.
    """
    if other_host(run) is None:
        return worker_pid(run) is not None
    return abs(time.time() - run.last_sign) <= SILENCE_S


def worker_words(run: Run) -> str:
    """Who carries a run out: ``process 4242 on gpu-7, since 11-22 18:40:05 UTC``.

    ``another worker`` where launch.json does not say.
    """
    launch = read_json(run.path / "launch.json") or {}
    host, pid, began = (launch.get(key) for key in ("host", "pid", "process_start"))
    if not isinstance(began, int | float) or not 0 <= began < 1e12:
        return "another worker"
    since = datetime.fromtimestamp(began, UTC).strftime("%m-%d %H:%M:%S UTC")
    return f"process {pid} on {host}, since {since}"


def carried_out_words(run: Run) -> str:
    """Why no other worker can take a run that a live worker carries out, as a sentence."""
    return f"{run.id} is {run.state()}, carried out by {worker_words(run)}"


def other_host(run: Run) -> str | None:
    """The host of the run's latest worker where it is not this one, whose lock can't be asked."""
    host = (read_json(run.path / "launch.json") or {}).get("host")
    return host if isinstance(host, str) and host != socket.gethostname() else None


def request_stop(run: Run, *, at_once: bool = False) -> None:
    """Ask the run's worker to stop at its next step; returns at once.

    Writes a request file, which a worker on any host reads, and signals the worker if it is a
    process of this host. Asked again, it does nothing: a second signal means a stop without a
    checkpoint, and is sent only with ``at_once``, or where the request can't be written.

    Raises:
        StorageError: the request can't be written, and no process of this host is the worker.
    """
    request, pid = run.path / STOP_FILE, worker_pid(run)
    is_first = not request.exists()
    try:
        with writing(request):
            request.touch()
    except StorageError:
        if pid is None:
            raise
    if (is_first or at_once) and pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def end_by_force(run: Run) -> bool:
    """End the run's worker, also one that hangs or is suspended; the run is then interrupted.

    The worker has :data:`FORCE_S` to end by itself, as after :func:`request_stop`. A training goes
    on from its last checkpoint when it is resumed.

    Returns:
        False where no process of this host is the worker.

    Raises:
        StorageError: the result can't be written.
    """
    import psutil

    pid = worker_pid(run)
    if pid is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        others = process.children(recursive=True)  # the other ranks of a training
        process.terminate()
        _, alive = psutil.wait_procs([process], timeout=FORCE_S)
        for one in [*alive, *others]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs([*alive, *others], timeout=FORCE_S)
    with writing(run.lock_path):
        lock = FileLock(run.lock_path)
    try:
        if lock.try_acquire() and run.raw_result is None:
            write_json(run.path / "result.json", {"v": 1, "kind": run.kind, "state": "interrupted"})
    finally:
        lock.release()
    return True
