"""Starts a run again after a crash or a kill, as often as its spec says (``retries``).

A small process beside the worker, without torch: it waits for the worker's end, and between two
attempts it is the run's worker itself, so that the run is queued, and can be stopped. A refusal, a
loss that is no number and a stop are no crashes: after them nothing is started again.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.process.heartbeat import Heartbeat
from engine.process.ranks import given_place
from engine.process.signals import STOP_SIGNALS, hold_signals, release_signals
from engine.process.stop_signal import StopSignal
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED
from runs.event_types import LogFields
from runs.events import EventWriter, last_attempt, last_event_like
from runs.interruption import STOP_FILE, record_interruption
from runs.jsonfiles import write_json
from runs.launch import record_worker
from runs.locks import FileLock
from runs.lost_worker import why_no_result
from runs.on_end import run_on_end
from runs.storage import StorageError
from runs.store import Run

FIRST_PAUSE_S = 5.0
GROWTH = 4.0
LONGEST_PAUSE_S = 600.0
"""The pause before the second attempt, its growth with each further one, and its limit."""
POLL_S = 0.2


def retries_wanted(arguments: list[str]) -> int:
    """How often the run that a worker's arguments name may be started again; 0: not supervised.

    A study retries by its children. A launcher such as torchrun has its own restarts.
    """
    if len(arguments) != 1 or given_place(os.environ) is not None:
        return 0
    run = Run(Path(arguments[0]).absolute())
    retries = run.raw_spec.get("retries")
    if run.kind in ("study", "sweep") or not isinstance(retries, int) or run.state() == "completed":
        return 0
    return max(retries, 0)


def pause_before(retry: int) -> float:
    """Seconds before the first, second, … retry."""
    return min(FIRST_PAUSE_S * GROWTH ** (retry - 1), LONGEST_PAUSE_S)


def supervise(arguments: list[str]) -> int:
    """Carry out a run with retries; return the exit code of its last attempt."""
    run = Run(Path(arguments[0]).absolute())
    retries = retries_wanted(arguments)
    for retry in range(retries + 1):
        code = _attempt(run, retries - retry)
        if not run.path.is_dir():  # taken away; the worker's log says so
            return EXIT_FAILED
        if run.raw_result is not None or run.has_worker:  # ended, or another worker has the run
            break
        if (run.path / STOP_FILE).exists() or -code in STOP_SIGNALS:
            record_interruption(run)
            code = EXIT_INTERRUPTED
            break
        reason = _reason(run, code)
        if retry == retries:
            code = EXIT_FAILED
            _record_failure(run, reason)
        elif not _pause(run, reason, retry + 1, retries):
            code = EXIT_INTERRUPTED
            break
    if not run.has_worker and (problem := run_on_end(run)) is not None:
        print(problem, file=sys.stderr, flush=True)
    return code


def _attempt(run: Run, retries_left: int) -> int:
    """Start the worker and wait for its end; its exit code, negative for a signal."""
    hold_signals()  # the worker is born with them, and takes them when it can
    command = [sys.executable, "-P", "-m", "engine", str(run.path), str(retries_left)]
    worker = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def forward(number: int, _frame: object) -> None:
        worker.send_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, forward)
    release_signals()
    code = worker.wait()
    for number in STOP_SIGNALS:  # one that comes now waits for what is done next
        signal.signal(number, signal.SIG_IGN)
    return code


def _reason(run: Run, code: int) -> str:
    """Why an attempt ended without a result, as a sentence without a subject."""
    if code < 0:
        return why_no_result(run, code)
    event = last_event_like(run.events_path, b'"level": "error"')
    if event is not None and event["kind"] == "log":
        return event["message"]
    return why_no_result(run, code)


def _record_failure(run: Run, reason: str) -> None:
    """Write the result of a run whose last attempt left none."""
    lock = FileLock(run.lock_path)
    try:
        if lock.try_acquire() and run.raw_result is None:
            error = {"message": reason, "exit_code": EXIT_FAILED}
            result = {"v": 1, "kind": run.kind, "state": "failed", "error": error}
            write_json(run.path / "result.json", result)
    except StorageError as error:  # then the run is lost, and can be resumed
        print(error, file=sys.stderr, flush=True)
    finally:
        lock.release()


def _pause(run: Run, reason: str, retry: int, retries: int) -> bool:
    """Wait before a retry, as the run's worker; False where a stop was requested meanwhile."""
    lock = FileLock(run.lock_path)
    try:
        if not lock.try_acquire():  # somebody resumed it: the next attempt says so
            return True
        record_worker(run)
        events = EventWriter(run.events_path)
        seconds = pause_before(retry)
        message = f"{reason}: retry {retry} of {retries} begins in {seconds:.0f} s"
        fields: LogFields = {"level": "warning", "message": message}
        events.write("log", **fields)
        print(message, file=sys.stderr, flush=True)
        stop = StopSignal(run)
        stop.listen()
        heartbeat = Heartbeat(events, last_attempt(run.events_path), lambda: os._exit(EXIT_FAILED))
        heartbeat.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stop.requested:
            time.sleep(POLL_S)
        heartbeat.stop()
        events.close()
    finally:
        lock.release()
    if stop.requested:
        record_interruption(run)
    return not stop.requested
