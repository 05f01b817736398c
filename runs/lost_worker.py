"""Why a worker ended without a result, as far as its exit code and its traces say."""

import signal

from runs.events import last_event_like
from runs.storage import free_bytes, mount_point
from runs.store import Run

_FULL = 64 * 1024
"""A file system with fewer free bytes than these counts as full."""


def why_no_result(run: Run, exit_code: int | None) -> str:
    """A sentence without a subject: the worker of ``run`` …

    Args:
        run: without a result, and no longer carried out.
        exit_code: of the worker, negative for a signal; None: it is not known.
    """
    if run.job is not None:
        from runs.submission import why_job_left_nothing

        if (reason := why_job_left_nothing(run)) is not None:
            return reason
    if exit_code is not None and exit_code < 0:
        return _by_signal(run, -exit_code)
    free = free_bytes(run.path)
    if free is not None and free < _FULL:
        return f"no space left on {mount_point(run.path)}: the worker exited without a result"
    return "the worker exited without a result"


def _by_signal(run: Run, number: int) -> str:
    if number == signal.SIGKILL:
        memory = _last_memory(run)
        had = "" if memory is None else f"; it had {memory / 1e6:,.0f} MB last"
        return f"ended by signal 9: the system may have run out of memory{had}"
    try:
        name = f" ({signal.Signals(number).name})"
    except ValueError:
        name = ""
    return f"ended by signal {number}{name}"


def _last_memory(run: Run) -> int | None:
    """Bytes of memory that the worker had at its last ``system`` event."""
    event = last_event_like(run.events_path, b'"kind": "system"')
    return event.get("worker_memory") if event is not None and event["kind"] == "system" else None
