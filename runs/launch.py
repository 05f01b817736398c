"""Start a worker, recognise it again, and ask it to stop.

A worker is a process of its own in its own session, with its output in the run's folder: it
outlives the terminal that started it. A pid is not an identity (pids are reused, and mean nothing
on another host), so a worker records its host, boot id and process start time beside it.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runs.interruption import STOP_FILE, record_interruption
from runs.jsonfiles import read_json, write_json
from runs.live_mirror import attach, start_mirrors
from runs.slurm_queue import RECORD_FILE
from runs.storage import StorageError, writing
from runs.store import Run, Store, discard
from runs.worker_identity import LAUNCH_FILE, identity, other_host_in, pid_in

if TYPE_CHECKING:  # following and stopping a run needs no validation, and so no pydantic
    from runs.live_mirror import Place
    from runs.spec import AnySpec


FORCE_S = 10.0
"""Seconds that a worker has to end by itself before it is killed."""
_WORKER_ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",  # its log is UTF-8, whatever the locale
    "PYTHONIOENCODING": "utf-8",
}


def begin(
    store: Store, spec: "AnySpec", tags: Sequence[str], mirrors: "Sequence[Place]" = ()
) -> tuple[Run, subprocess.Popen[bytes] | None]:
    """Check what needs no torch, create the run, and start its worker or hand it to Slurm.

    Raises:
        UserError: see :func:`runs.checks.check_request`; or the home can't be written; no run
            remains.
    """
    from runs.checks import check_request

    check_request(spec, store.home)
    return create_and_start(store, spec, tags, mirrors)


def create_and_start(
    store: Store,
    spec: "AnySpec",
    tags: Sequence[str],
    mirrors: "Sequence[Place]" = (),
) -> tuple[Run, subprocess.Popen[bytes] | None]:
    """Create a run with its mirrors, and start its worker or hand it to Slurm.

    Raises:
        UserError: the home can't be written, or Slurm refuses the job; no run remains.
    """
    run = store.create(spec)
    try:
        if tags:
            run.set_meta(tags=list(dict.fromkeys(tags)))
        attach(run, mirrors)
        return run, start(run)
    except BaseException:
        discard(run)
        raise


def start(run: Run) -> subprocess.Popen[bytes] | None:
    """Start a run's worker here, or hand the run to Slurm, as its spec and its place say.

    The processes that mirror it are started on this machine in both cases.

    Returns:
        The worker; None of a run in Slurm.

    Raises:
        StorageError: a file of the run can't be written.
        SlurmError: Slurm refuses the job.
    """
    if not {**run.raw_spec, **run.place}.get("slurm"):
        (run.path / RECORD_FILE).unlink(missing_ok=True)
        worker = start_worker(run)
        start_mirrors(run)
        return worker
    from runs.submission import Submission

    Submission(_WORKER_ENVIRONMENT).submit(run)
    start_mirrors(run)
    return None


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
        run.path / LAUNCH_FILE,
        {
            **identity(os.getpid()),
            "run": str(run.path.resolve()),  # a copy of the folder has another worker, or none
            "scheduler_id": scheduler,
            "folder": _working_folder(),
        },
    )


def _working_folder() -> str | None:
    with contextlib.suppress(FileNotFoundError):  # it was deleted
        return str(Path.cwd())
    return None


def worker_pid(run: Run) -> int | None:
    """The worker's pid if it is a live process of this host, else None."""
    return pid_in(run.path)


def worker_words(run: Run) -> str:
    """Who carries a run out: ``process 4242 on gpu-7, since 11-22 18:40:05 UTC``.

    ``another worker`` where launch.json does not say.
    """
    launch = read_json(run.path / LAUNCH_FILE) or {}
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
    return other_host_in(run.path)


def request_stop(run: Run, *, at_once: bool = False) -> None:
    """Ask the run's worker to stop at its next step; returns at once.

    Writes a request file, which a worker on any host reads, and signals the worker if it is a
    process of this host. Asked again, it does nothing: a second signal means a stop without a
    checkpoint, and is sent only with ``at_once``, or where the request can't be written. A job of
    Slurm that waits is taken back.

    Raises:
        StorageError: the request can't be written, and no process of this host is the worker.
        SlurmError: the run is a job, and Slurm does not answer.
    """
    if run.job is not None and worker_pid(run) is None:
        from runs.submission import stop_job

        with contextlib.suppress(StorageError), writing(run.path / STOP_FILE):
            (run.path / STOP_FILE).touch()
        stop_job(run, at_once=at_once)
        return
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


def end_by_force(family: Sequence[Run]) -> list[Run]:
    """End the workers of a run and of its children, also those that hang or are suspended.

    They have :data:`FORCE_S` to end by themselves, as after :func:`request_stop`. A run without a
    result is then interrupted; a training goes on from its last checkpoint when it is resumed.

    Args:
        family: a run that is at work, then its children that are.

    Returns:
        Those runs of which no process of this host is the worker.

    Raises:
        StorageError: a result can't be written.
    """
    import psutil

    mine = [run for run in family if worker_pid(run) is not None]
    workers: list[psutil.Process] = []
    for run in mine:
        with contextlib.suppress(OSError):  # a retry may follow; the worker is ended in any case
            (run.path / STOP_FILE).touch()
        with contextlib.suppress(psutil.NoSuchProcess, TypeError):
            workers.append(psutil.Process(worker_pid(run)))
    others: list[psutil.Process] = []
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            others += worker.children(recursive=True)  # the other ranks of a training
            worker.terminate()
    _, alive = psutil.wait_procs(workers, timeout=FORCE_S)
    for process in [*alive, *others]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([*alive, *others], timeout=FORCE_S)
    for run in mine:
        record_interruption(run)
    return [run for run in family if run not in mine]
