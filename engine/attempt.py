"""One attempt at a run: its worker from the lock to the result.

The worker takes the run's lock, starts its heartbeat and queues for a device before it imports
torch, and does the work. It writes a result in every case except SIGKILL. What a run computes is in
:mod:`engine.worker` and :mod:`engine.process.study`.
"""

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from engine.process.device_queue import DeviceQueue, Place, devices_for
from engine.process.heartbeat import Heartbeat
from engine.process.mirror_watch import MirrorWatch
from engine.process.out_of_memory import is_out_of_memory
from engine.process.ranks import end_with_rank_0, given_place
from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.process.watchdog import watchdog_of
from engine.training.divergence import DivergedError
from runs.durations import read_timeline
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError
from runs.event_types import LogFields, StartedFields
from runs.events import EventWriter, Unwritten, last_attempt, warnings_of
from runs.gpus import visible_gpus
from runs.interruption import STOP_FILE
from runs.jsonfiles import remove_unfinished, write_json
from runs.launch import record_worker, worker_words
from runs.locks import FileLock
from runs.on_end import run_on_end
from runs.slurm_queue import in_job
from runs.space import shortage
from runs.spec import AnySpec, AttackSpec, StudySpec, SweepSpec, TrainSpec
from runs.storage import Reserve, StorageError, storage_error, writing
from runs.store import Run

LOCK_TRIES, LOCK_TRIES_IN_JOB = 20, 900
"""Attempts to take the run's lock, 0.1 s apart; of a job that Slurm has handed out again, whose
worker on another node may still be ending, or heard of a while ago."""
MEMORY_ADVICE = "choose a smaller --batch-size, or a machine with more free memory"
NO_LOCKS = (
    "the file system of the home has no locks, so a worker is known by its process and heartbeat "
    "alone; start no run from two hosts at once"
)
USAGE = "usage: python -P -m engine RUN_DIR (a folder that holds spec.json)"
"""A supervisor adds the number of retries that are left; see :mod:`engine.process.supervisor`."""


def carry_out_attempt(arguments: list[str]) -> int:
    """Carry out the run whose folder is named; return a constant of :mod:`runs.errors`, or 0."""
    retries_left = int(arguments.pop()) if len(arguments) == 2 else None
    if len(arguments) != 1 or not (Path(arguments[0]) / "spec.json").is_file():
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    run = Run(Path(arguments[0]).absolute())
    given = given_place(os.environ)
    devices = {**run.raw_spec, **run.place}.get("devices", 1)
    if given is not None and given.rank > 0 and devices != 1:
        return _carry_out_rank(run)
    try:
        with writing(run.lock_path):
            lock = FileLock(run.lock_path)
        try:
            return _one_attempt(run, lock, retries_left)
        except StorageError as error:
            with suppress(StorageError):
                outcome, _ = _failed(error)
                write_json(run.path / "result.json", {"v": 1, "kind": run.kind, **outcome})
            raise
        finally:
            lock.release()
    except StorageError as error:
        _print(str(error))
        return error.exit_code


def _one_attempt(run: Run, lock: FileLock, retries_left: int | None) -> int:
    """Carry out ``run``, unless another worker does; return the exit code.

    Args:
        run: to carry out.
        lock: of the run.
        retries_left: None without a supervisor. A crash with retries left leaves no result: the
            supervisor starts the run again.

    Raises:
        StorageError: the beginning or the end of the attempt can't be recorded.
    """
    if not _acquire(lock, run):
        _print(f"{run.id} is being carried out by {worker_words(run)}")
        return EXIT_FAILED
    if run.state() == "completed":
        _print(f"{run.id} is already completed: there is nothing to do")
        return 0
    remove_unfinished(run.path, but_of="meta.json")  # people write it, without the run's lock
    record_worker(run)
    attempt = 1 + last_attempt(run.events_path)
    events = EventWriter(run.events_path)
    heartbeat = Heartbeat(events, attempt, lambda: _end_without_folder(run))
    heartbeat.mirrors = MirrorWatch(run, events)
    stop = StopSignal(run)
    stop.listen()
    heartbeat.beat()
    if not lock.is_supported:
        _print(f"{NO_LOCKS}: {run.home}")
        events.write("log", level="info", message=f"{NO_LOCKS}: {run.home}")
    (run.path / "result.json").unlink(missing_ok=True)  # only now: the new attempt has an event
    heartbeat.start()

    def report_started(fields: StartedFields) -> None:
        if heartbeat.phase == "running":
            return
        heartbeat.phase = "running"
        heartbeat.watchdog = watchdog_of(run.spec, events, fail)
        all_fields: StartedFields = {
            "attempt": attempt,
            "resumed_from": None,
            **fields,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        events.write("started", **all_fields)

    def report_place(place: Place | None) -> None:
        heartbeat.place = place
        heartbeat.beat()
        if place is not None:
            message = f"queued: place {place.number}, behind {place.behind}"
            events.write("log", level="info", message=message)

    began = time.time()

    def fail(message: str) -> NoReturn:
        error = UserError(message, exit_code=EXIT_FAILED)
        outcome, code = _failed(error)
        _report(error, events)
        if not retries_left:
            with suppress(StorageError):  # without a result the run is lost, and can be resumed
                _record_end(run, events, attempt, round(time.time() - began, 3), outcome)
        os._exit(code)

    outcome, code = _carry_out(run, events, stop, report_place, report_started, fail)
    seconds = round(time.time() - began, 3)
    heartbeat.stop()
    if not events.is_in_place():
        _end_without_folder(run)
    if outcome.pop("crashed", False) and retries_left and not stop.requested:
        return code
    (run.path / STOP_FILE).unlink(missing_ok=True)
    try:
        _record_end(run, events, attempt, seconds, outcome)
    except StorageError as error:
        # The work is lost with its result. A smaller result may have space, and says why.
        _report(error, events)
        outcome, code = _failed(error)
        _record_end(run, events, attempt, seconds, outcome)
    with suppress(StorageError):  # the result is on the disk
        events.close()
    if retries_left is None and (problem := run_on_end(run)) is not None:
        _print(problem)
    return code


def _carry_out_rank(run: Run) -> int:
    """The part of a rank other than 0, which writes no file; return the exit code."""
    end_with_rank_0()
    stop = StopSignal(run)
    stop.listen()
    try:
        from engine.worker import carry_out_rank

        spec = run.spec
        assert isinstance(spec, TrainSpec | AttackSpec)
        carry_out_rank(run, spec, Unwritten(), stop)
    except StopRequested:
        return EXIT_INTERRUPTED
    except UserError as error:
        _print(f"{error}")
        return error.exit_code
    except Exception:
        _print(traceback.format_exc())
        return EXIT_FAILED
    return 0


def _record_end(
    run: Run, events: EventWriter, attempt: int, seconds: float, outcome: dict[str, Any]
) -> None:
    """Write ``ended`` and the result of an attempt that took so many seconds.

    Raises:
        StorageError: the result can't be written.
    """
    with suppress(StorageError):  # the result says the same
        events.write("ended", state=outcome["state"], seconds=seconds)
    worked, waited = read_timeline(run.events_path).durations()
    result = {
        "v": 1,
        "kind": run.kind,
        "attempt": attempt,
        "seconds": seconds,
        "working_seconds": round(worked, 3),
        "waiting_seconds": round(waited, 3),
        **outcome,
        "warnings": [*outcome.get("warnings", []), *warnings_of(run.events_path)],
    }
    write_json(run.path / "result.json", result)


def _end_without_folder(run: Run) -> NoReturn:
    """End the process at once, from any thread: there is nowhere to save anything."""
    _print(f"{run.path} was taken away: the worker ends")
    os._exit(EXIT_FAILED)


def _acquire(lock: FileLock, run: Run) -> bool:
    """Take the run's lock, with several attempts: a process that tests a lock holds it briefly.

    Where the file system has no locks, no other worker may be known.
    """
    for _ in range(LOCK_TRIES_IN_JOB if in_job() else LOCK_TRIES):
        if lock.try_acquire() and (lock.is_supported or not run.has_worker):
            return True
        time.sleep(0.1)
    return False


def _carry_out(
    run: Run,
    events: EventWriter,
    stop: StopSignal,
    report_place: Callable[[Place | None], None],
    report_started: ReportStarted,
    fail: Callable[[str], NoReturn],
) -> tuple[dict[str, Any], int]:
    """The fields of the result with its state, and the exit code.

    ``crashed`` is among the fields after an error that nobody foresaw: it may be gone at a second
    attempt, unlike the reason of a refusal.
    """
    try:
        with Reserve(run.path / "reserve"):
            return _completed(run, events, stop, report_place, report_started, fail), 0
    except StopRequested:
        return {"state": "interrupted"}, EXIT_INTERRUPTED
    except BaseException as error:  # every failure must leave a result
        explained = error if isinstance(error, UserError) else storage_error(error, run.path)
        if explained is None:
            _print(traceback.format_exc())
            message = f"{type(error).__name__}: {error}".rstrip(": ")
            if is_out_of_memory(error):
                message = f"out of memory: {MEMORY_ADVICE} ({message.splitlines()[0]})"
            crash = UserError(message, exit_code=EXIT_FAILED)
            _report(crash, events)
            outcome, code = _failed(crash)
            return {**outcome, "crashed": True}, code
        _report(explained, events)
        return _failed(explained)


def _completed(
    run: Run,
    events: EventWriter,
    stop: StopSignal,
    report_place: Callable[[Place | None], None],
    report_started: ReportStarted,
    fail: Callable[[str], NoReturn],
) -> dict[str, Any]:
    """The fields of the result of a run that is carried out to its end."""
    spec = run.spec
    if (warning := shortage(run, spec)) is not None:
        _print(warning)
        events.write("log", level="warning", message=warning)
    with _queue(run, spec, stop, report_place) as queue:
        context = RunContext(run, events, stop, queue, fail)
        if isinstance(spec, StudySpec):
            from engine.process.study import carry_out_study

            fields = carry_out_study(context, spec, report_started)
        elif isinstance(spec, SweepSpec):
            from engine.process.sweep import carry_out_sweep

            fields = carry_out_sweep(context, spec, report_started)
        else:
            from engine.worker import carry_out

            with stop.at_once():
                fields = carry_out(context, spec, report_started)
    return {"state": "completed", **fields}


@contextmanager
def _queue(
    run: Run, spec: AnySpec, stop: StopSignal, report_place: Callable[[Place | None], None]
) -> Iterator[DeviceQueue | None]:
    """The run's ticket for a device, once few enough runs are before it; None with ``share``."""
    if spec.share or in_job():  # Slurm has given the devices out
        yield None
        return
    queue = DeviceQueue(
        run,
        on_gpu=spec.device.startswith("cuda") or (spec.device != "cpu" and visible_gpus() > 0),
        on_place=report_place,
        check_stop=stop.check,
    )
    try:
        queue.wait_before_import(devices_for(spec.device))
        yield queue
    finally:
        queue.release()


def _report(error: UserError, events: EventWriter) -> None:
    """Say why the run failed, in the worker's log and as an event."""
    _print(str(error))
    notice: LogFields = {"level": "error", "message": str(error)}
    if isinstance(error, DivergedError):
        notice = {**notice, **error.place}
    with suppress(StorageError):  # the result says the same
        events.write("log", **notice)


def _failed(error: UserError) -> tuple[dict[str, Any], int]:
    """The fields of a failed run's result, and the exit code."""
    message, code = str(error), error.exit_code
    return {"state": "failed", "error": {"message": message, "exit_code": code}}, code


def _print(text: str) -> None:
    """Print to the worker's log, which a full disk may refuse."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
