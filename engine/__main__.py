"""A worker: ``python -P -m engine RUN_DIR [--after RUN_ID…]`` carries out a run's spec.

It takes the run's lock, starts its heartbeat before anything slow is imported, waits for the runs
of the same home that go first, does the work, and leaves a result whatever happens, short of
SIGKILL.
"""

import os
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.process.heartbeat import Heartbeat
from engine.process.run_context import ReportStarted, RunContext
from engine.process.run_queue import wait_for_runs
from engine.process.stop_signal import StopRequested, StopSignal
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError
from runs.event_types import StartedFields
from runs.events import EventReader, EventWriter
from runs.jsonfiles import write_json
from runs.launch import STOP_FILE, record_worker
from runs.locks import FileLock
from runs.spec import StudySpec
from runs.store import Run

LOCK_TRIES = 20
USAGE = "usage: python -P -m engine RUN_DIR [--after RUN_ID…] (a folder that holds spec.json)"


def main(arguments: list[str]) -> int:
    folder, *order = arguments or [""]
    is_run = bool(folder) and (Path(folder) / "spec.json").is_file()
    if not is_run or order[:1] not in ([], ["--after"]):
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    run = Run(Path(folder).absolute())
    predecessors = [Run(run.path.parent / name) for name in order[1:]]
    lock = FileLock(run.path / "lock")
    if not _acquire(lock):
        print(f"{run.id} is being carried out by another worker", file=sys.stderr)
        return EXIT_FAILED
    if run.state() == "completed":
        print(f"{run.id} is completed", file=sys.stderr)
        return 0
    record_worker(run)
    attempt = 1 + _last_attempt(run)
    events = EventWriter(run.events_path)
    heartbeat = Heartbeat(events, attempt)
    stop = StopSignal(run)
    stop.listen()
    heartbeat.beat()
    (run.path / "result.json").unlink(missing_ok=True)  # only now: the new attempt can be seen
    heartbeat.start()

    def report_started(fields: StartedFields) -> None:
        heartbeat.phase = "running"
        whole: StartedFields = {
            "attempt": attempt,
            "resumed_from": None,
            **fields,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        events.write("started", **whole)

    began = time.time()
    context = RunContext(run, events, stop)
    outcome, code = _carry_out(context, predecessors, report_started)
    (run.path / STOP_FILE).unlink(missing_ok=True)
    seconds = round(time.time() - began, 3)
    heartbeat.stop()
    events.write("ended", state=outcome["state"], seconds=seconds)
    events.close()
    write_json(
        run.path / "result.json",
        {"v": 1, "kind": run.kind, "attempt": attempt, "seconds": seconds, **outcome},
    )
    return code


def _acquire(lock: FileLock) -> bool:
    """Take the run's lock. A process that checks whether it is free holds it for a moment."""
    for _ in range(LOCK_TRIES):
        if lock.try_acquire():
            return True
        time.sleep(0.1)
    return False


def _last_attempt(run: Run) -> int:
    attempts = [
        event.get("attempt", 0)
        for event in EventReader(run.events_path).new()
        if event["kind"] == "started" or event["kind"] == "heartbeat"
    ]
    return max(attempts, default=0)


def _carry_out(
    context: RunContext, predecessors: Sequence[Run], report_started: ReportStarted
) -> tuple[dict[str, Any], int]:
    """The fields of the result with its state, and the exit code."""
    events = context.events

    def has_to_wait(other: Run) -> None:
        events.write("log", level="info", message=f"queued: {other.id} goes first")

    try:
        spec = context.run.spec
        wait_for_runs(predecessors, context.stop, has_to_wait)
        if isinstance(spec, StudySpec):
            from engine.process.study import carry_out_study

            fields = carry_out_study(context, spec, report_started)
        else:
            from engine.worker import carry_out

            fields = carry_out(context, spec, report_started)
    except StopRequested:
        return {"state": "interrupted"}, EXIT_INTERRUPTED
    except UserError as error:
        print(error, file=sys.stderr)
        events.write("log", level="error", message=str(error))
        return _failed(str(error), error.exit_code), error.exit_code
    except BaseException as error:  # whatever it was, a result must be left
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        events.write("log", level="error", message=message)
        return _failed(message, EXIT_FAILED), EXIT_FAILED
    return {"state": "completed", **fields}, 0


def _failed(message: str, code: int) -> dict[str, Any]:
    return {"state": "failed", "error": {"message": message, "exit_code": code}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
