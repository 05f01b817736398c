"""``python -P -m engine RUN_DIR [--after RUN_ID…]``: a worker. Carries out a run's spec.

It takes the run's lock, shows that it lives before anything slow is imported, waits for the runs
of the same home that go first, does the work, and leaves a result behind whatever happens short
of SIGKILL.
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
from engine.process.run_queue import wait_for_runs
from engine.process.stop_signal import StopRequested, StopSignal
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UserError
from runs.events import EventReader, EventWriter
from runs.jsonfiles import write_json
from runs.launch import STOP_FILE, record_worker
from runs.locks import FileLock
from runs.spec import StudySpec
from runs.store import Run

LOCK_TRIES = 20


def main(arguments: list[str]) -> int:
    folder, *order = arguments or [""]
    if (
        not folder
        or not (Path(folder) / "spec.json").is_file()
        or order[:1] not in ([], ["--after"])
    ):
        print(
            "usage: python -P -m engine RUN_DIR [--after RUN_ID…] (a folder that holds spec.json)",
            file=sys.stderr,
        )
        return EXIT_USAGE
    run = Run(Path(folder).absolute())
    predecessors = [Run(run.path.parent / name) for name in order[1:]]
    lock = FileLock(run.path / "lock")
    if not _acquired(lock):
        print(f"{run.id} is being carried out by another worker", file=sys.stderr)
        return EXIT_FAILED
    if (run.result or {}).get("state") == "completed":
        print(f"{run.id} is completed", file=sys.stderr)
        return 0
    record_worker(run)
    past = EventReader(run.events_path).new()
    attempt = 1 + max((int(event.get("attempt", 0)) for event in past), default=0)
    events = EventWriter(run.events_path)
    heartbeat = Heartbeat(events, attempt)
    stop = StopSignal(run)
    stop.listen()
    heartbeat.beat()
    (run.path / "result.json").unlink(missing_ok=True)  # only now: the new attempt can be seen
    heartbeat.start()

    def started(**fields: Any) -> None:
        heartbeat.phase = "running"
        events.write(
            "started",
            attempt=attempt,
            **{"resumed_from": None, **fields},
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    began = time.time()
    outcome, code = _carry_out(run, predecessors, events, stop, started)
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


def _acquired(lock: FileLock) -> bool:
    """Take the run's lock. Somebody who looks whether it is free holds it for a moment."""
    for _ in range(LOCK_TRIES):
        if lock.try_acquire():
            return True
        time.sleep(0.1)
    return False


def _carry_out(
    run: Run, predecessors: Sequence[Run], events: EventWriter, stop: StopSignal, started: Any
) -> tuple[dict[str, Any], int]:
    def has_to_wait(other: Run) -> None:
        events.write("log", level="info", message=f"queued: {other.id} goes first")

    try:
        spec = run.spec
        wait_for_runs(predecessors, stop, has_to_wait)
        if isinstance(spec, StudySpec):
            from engine.process.study import carry_out_study

            fields = carry_out_study(run, spec, events, stop, started)
        else:
            from engine.worker import carry_out

            fields = carry_out(run, spec, events, stop, started)
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
