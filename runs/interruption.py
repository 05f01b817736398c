"""The request to stop a run, and the result of a run that was stopped without a worker."""

from runs.jsonfiles import write_json
from runs.locks import FileLock
from runs.storage import writing
from runs.store import Run

STOP_FILE = "stop"


def record_interruption(run: Run) -> None:
    """Let a run without a worker and without a result be interrupted.

    Raises:
        StorageError: the result can't be written.
    """
    with writing(run.lock_path):
        lock = FileLock(run.lock_path)
    try:
        if lock.try_acquire() and run.raw_result is None:
            write_json(run.path / "result.json", {"v": 1, "kind": run.kind, "state": "interrupted"})
    finally:
        lock.release()
