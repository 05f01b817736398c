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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from engine.process.device_queue import DeviceQueue, Place
from engine.process.heartbeat import Heartbeat
from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.training.divergence import DivergedError
from runs.durations import read_timeline
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError
from runs.event_types import LogFields, StartedFields
from runs.events import EventReader, EventWriter, warnings_of
from runs.gpus import visible_gpus
from runs.jsonfiles import write_json
from runs.launch import STOP_FILE, record_worker, worker_words
from runs.locks import FileLock
from runs.spec import AnySpec, StudySpec
from runs.store import Run

LOCK_TRIES = 20
"""Attempts to take the run's lock, 0.1 s apart."""
USAGE = "usage: python -P -m engine RUN_DIR (a folder that holds spec.json)"


def carry_out_attempt(arguments: list[str]) -> int:
    """Carry out the run whose folder is named; return a constant of :mod:`runs.errors`, or 0."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "spec.json").is_file():
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    run = Run(Path(arguments[0]).absolute())
    lock = FileLock(run.lock_path)
    if not _acquire(lock):
        print(f"{run.id} is being carried out by {worker_words(run)}", file=sys.stderr)
        return EXIT_FAILED
    if run.state() == "completed":
        print(f"{run.id} is already completed: there is nothing to do", file=sys.stderr)
        return 0
    record_worker(run)
    attempt = 1 + _last_attempt(run)
    events = EventWriter(run.events_path)
    heartbeat = Heartbeat(events, attempt, lambda: _end_without_folder(run))
    stop = StopSignal(run)
    stop.listen()
    heartbeat.beat()
    (run.path / "result.json").unlink(missing_ok=True)  # only now: the new attempt has an event
    heartbeat.start()

    def report_started(fields: StartedFields) -> None:
        heartbeat.phase = "running"
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
    outcome, code = _carry_out(run, events, stop, report_place, report_started)
    (run.path / STOP_FILE).unlink(missing_ok=True)
    seconds = round(time.time() - began, 3)
    heartbeat.stop()
    if not events.is_in_place():
        _end_without_folder(run)
    events.write("ended", state=outcome["state"], seconds=seconds)
    events.close()
    worked, waited = read_timeline(run.events_path).durations()
    warnings = [*outcome.pop("warnings", []), *warnings_of(run.events_path)]
    durations = {
        "seconds": seconds,
        "working_seconds": round(worked, 3),
        "waiting_seconds": round(waited, 3),
    }
    write_json(
        run.path / "result.json",
        {
            "v": 1,
            "kind": run.kind,
            "attempt": attempt,
            **durations,
            "warnings": warnings,
            **outcome,
        },
    )
    return code


def _end_without_folder(run: Run) -> NoReturn:
    """End the process at once, from any thread: there is nowhere to save anything."""
    print(f"{run.path} was taken away: the worker ends", file=sys.stderr, flush=True)
    os._exit(EXIT_FAILED)


def _acquire(lock: FileLock) -> bool:
    """Take the run's lock, with several attempts: a process that tests a lock holds it briefly."""
    for _ in range(LOCK_TRIES):
        if lock.try_acquire():
            return True
        time.sleep(0.1)
    return False


def _last_attempt(run: Run) -> int:
    """The number of the last attempt in the run's events; 0 where there is none."""
    attempts = [
        event.get("attempt", 0)
        for event in EventReader(run.events_path).new()
        if event["kind"] == "started" or event["kind"] == "heartbeat"
    ]
    return max(attempts, default=0)


def _carry_out(
    run: Run,
    events: EventWriter,
    stop: StopSignal,
    report_place: Callable[[Place | None], None],
    report_started: ReportStarted,
) -> tuple[dict[str, Any], int]:
    """The fields of the result with its state, and the exit code."""
    try:
        spec = run.spec
        with _queue(run, spec, stop, report_place) as queue:
            context = RunContext(run, events, stop, queue)
            if isinstance(spec, StudySpec):
                from engine.process.study import carry_out_study

                fields = carry_out_study(context, spec, report_started)
            else:
                from engine.worker import carry_out

                with stop.at_once():
                    fields = carry_out(context, spec, report_started)
    except StopRequested:
        return {"state": "interrupted"}, EXIT_INTERRUPTED
    except UserError as error:
        print(error, file=sys.stderr)
        notice: LogFields = {"level": "error", "message": str(error)}
        if isinstance(error, DivergedError):
            notice = {**notice, **error.place}
        events.write("log", **notice)
        return _failed(str(error), error.exit_code), error.exit_code
    except BaseException as error:  # every failure must leave a result
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        events.write("log", level="error", message=message)
        return _failed(message, EXIT_FAILED), EXIT_FAILED
    return {"state": "completed", **fields}, 0


@contextmanager
def _queue(
    run: Run, spec: AnySpec, stop: StopSignal, report_place: Callable[[Place | None], None]
) -> Iterator[DeviceQueue | None]:
    """The run's ticket for a device, once few enough runs are before it; None with ``share``."""
    if spec.share:
        yield None
        return
    gpus = 0 if spec.device == "cpu" else visible_gpus()
    devices = gpus if spec.device in ("auto", "cuda") else 1
    queue = DeviceQueue(
        run,
        on_gpu=spec.device.startswith("cuda") or gpus > 0,
        on_place=report_place,
        check_stop=stop.check,
    )
    try:
        queue.wait_before_import(max(devices, 1))
        yield queue
    finally:
        queue.release()


def _failed(message: str, code: int) -> dict[str, Any]:
    return {"state": "failed", "error": {"message": message, "exit_code": code}}
