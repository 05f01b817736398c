"""The state of a run, derived from its files, its lock and, where it is a job, from Slurm.

Nothing stores a state. A result decides; without one the last event and the lock tell, and of a job
also Slurm's queue. A Slurm that does not answer decides nothing.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runs.events import last_events
from runs.file_clock import changed_at
from runs.slurm_queue import QUEUE, JobRecord, JobState
from runs.worker_identity import LAUNCH_FILE, other_host_in

if TYPE_CHECKING:
    from runs.event_types import Event


class RunFiles(Protocol):
    """What of a run decides its state; see :class:`runs.store.Run`."""

    @property
    def path(self) -> Path: ...
    @property
    def events_path(self) -> Path: ...
    @property
    def raw_result(self) -> dict[str, Any] | None: ...
    @property
    def job(self) -> JobRecord | None: ...
    @property
    def has_worker(self) -> bool: ...
    @property
    def last_sign(self) -> float: ...


State = Literal["queued", "running", "unresponsive", "completed", "failed", "interrupted", "lost"]
"""Each state is in :data:`LIVE`, in :data:`ENDED`, or ``lost``: no result and no sign of life."""
LIVE = ("queued", "running", "unresponsive")
"""No result yet, and a recent event; or ``unresponsive``: none, but a worker that holds the lock.

Such a worker is suspended, or its file server does not answer; it goes on when it wakes. A job is
queued while it waits in Slurm, also after an attempt that was interrupted.
"""
ENDED = ("completed", "failed", "interrupted")
"""The state is in result.json. A new attempt of a run that is not completed deletes it."""
SILENCE_S = 30.0
"""Seconds without an event after which a run without a result is unresponsive or lost."""
FUTURE_S = 3600.0
"""Clocks of two hosts differ by less: an event further ahead is of a clock that was set back."""


def state_of(run: RunFiles, now: float | None = None) -> State:
    """The state of a run; ``now``: unix seconds."""
    ended = (run.raw_result or {}).get("state")
    if ended in ("completed", "failed"):
        return ended  # type: ignore[no-any-return]
    job = run.job
    if ended == "interrupted":
        # Slurm hands a job that it has interrupted out again.
        return "queued" if job is not None and QUEUE.state(job).is_waiting else "interrupted"
    if job is None:
        return _by_files(run, now)
    return _of_job(run, job, QUEUE.state(job), now)


def may_return(run: RunFiles) -> bool:
    """Whether a run that has stopped is a job that Slurm may hand out again."""
    job = run.job
    return job is not None and not QUEUE.state(job).has_ended


def _of_job(run: RunFiles, job: JobRecord, state: JobState, now: float | None) -> State:
    if state.is_waiting:
        return "running" if _any_child_began(run, job) else "queued"
    by_files = _by_files(run, now)
    if by_files != "lost" or state.has_ended:  # while Slurm requeues a job, it seems to have ended
        return by_files
    return "unresponsive" if (run.path / LAUNCH_FILE).exists() else "queued"


def _any_child_began(run: RunFiles, job: JobRecord) -> bool:
    return any((run.path.parent / child / LAUNCH_FILE).exists() for child in job.children)


def _by_files(run: RunFiles, now: float | None) -> State:
    silence = silence_s(run, now)
    if silence > SILENCE_S:
        return "unresponsive" if run.has_worker else "lost"
    if silence < -FUTURE_S and not run.has_worker:  # the clock was set back
        return "lost"
    return "queued" if _phase(last_events(run.events_path)) == "queued" else "running"


def silence_s(run: RunFiles, now: float | None = None) -> float:
    """Seconds since the run's last event, or since its creation; ``now``: unix seconds.

    The clock of another host may differ from this one's: its events count from the time that the
    file system gives them, unless the file was copied since.
    """
    last = run.last_sign
    if other_host_in(run.path) is not None:
        changed = changed_at(run.events_path)
        if changed is not None and abs(changed - last) < FUTURE_S:
            last = changed
    return (time.time() if now is None else now) - last


def _phase(events: "list[Event]") -> str:
    """``queued``, or another phase of a run that has started, from its last events.

    The newest heartbeat names its phase; an event that only work writes, if it is newer, means
    ``running``. Without any of these the run has not started.
    """
    for event in reversed(events):
        if event["kind"] == "heartbeat":
            return str(event.get("phase", "running"))
        if event["kind"] in ("started", "metric", "attack", "corruption", "checkpoint"):
            return "running"
    return "queued"
