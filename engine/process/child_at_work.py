"""A child of a study or of a sweep, as the parent's worker sees it: a run with its own worker."""

import subprocess
import time
from collections.abc import Callable

from engine.process.run_context import RunContext
from engine.process.stop_signal import AGAIN_S, StopRequested
from runs.errors import EXIT_FAILED, UserError
from runs.launch import request_stop, start_worker
from runs.lost_worker import why_no_result
from runs.run_state import ENDED
from runs.slurm_queue import in_job
from runs.store import Run

POLL_S = 0.2
"""Seconds between two checks of the children at work."""


class ChildAtWork:
    """A child from its start to its end. Writes its states as events of the study.

    Args:
        run: the child.
        role: of the child.
        context: of the study.
        on_start: called once, when the child has started.
    """

    def __init__(
        self, run: Run, role: str, context: RunContext, on_start: Callable[[], None]
    ) -> None:
        self.run, self.role = run, role
        self.ended: str | None = None
        """Its final state, once its worker has exited."""
        self._context, self._on_start = context, on_start
        self._worker: subprocess.Popen[bytes] | None = None
        self._state: str = ""
        self._has_started = False
        self._forwarded, self._forward_from = 0, 0.0

    def start(self) -> None:
        """Start its worker, unless it is completed or has one.

        Raises:
            StopRequested: a stop was requested.
        """
        run, state = self.run, str(self.run.state())
        if in_job():  # Slurm starts the job of a study after those of its children
            self.ended = _ended(run, None) or state
            self._tell(self.ended)
            return
        if state != "completed" and not run.has_worker:
            self._context.stop.check()
            if place := self._context.run.place:
                run.set_place(place)
            self._worker = start_worker(run)
            state = "queued"
        self._tell(state)

    def look(self) -> None:
        """Note what has happened, and forward stop requests."""
        if self.ended is not None:
            return
        context = self._context
        self.ended = _ended(self.run, self._worker)
        if not self._has_started and self.run.was_started:
            self._has_started = True
            if context.queue is not None:
                context.queue.end_wait()
            self._on_start()
        current = self.run.state() if self.ended is None else self.ended
        if current != self._state:
            self._tell(current)
        if self.ended is not None:
            return
        if context.queue is not None and not self._has_started:
            context.queue.report_place()
        self.forward(2 if context.stop.is_urgent else int(context.stop.requested))

    def forward(self, wanted: int) -> None:
        """Ask its worker to stop, as often as ``wanted`` in all."""
        if self._forwarded < wanted and time.monotonic() >= self._forward_from:
            request_stop(self.run, at_once=self._forwarded > 0)
            # Sooner, the child would take a second one for the same request.
            self._forward_from = time.monotonic() + AGAIN_S + POLL_S
            self._forwarded += 1

    def check(self) -> None:
        """Do nothing if it is completed.

        Raises:
            StopRequested: it was interrupted.
            UserError: it failed, or its worker exited without a result.
        """
        if self.ended == "completed":
            return
        if self.ended == "interrupted":
            raise StopRequested
        failure = self.run.failure
        exit_status = None if self._worker is None else self._worker.returncode
        reason = failure["message"] if failure else why_no_result(self.run, exit_status)
        exit_code = failure.get("exit_code", EXIT_FAILED) if failure else EXIT_FAILED
        raise UserError(f"{self.role} {self.run.id}: {reason}", exit_code=exit_code)

    def _tell(self, state: str) -> None:
        self._state = state
        self._context.events.write("child", run=self.run.id, role=self.role, state=state)


def _ended(child: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    """The child's final state once its worker has exited, else None."""
    if worker is not None:
        if worker.poll() is None:
            return None
    elif child.has_worker:
        return None
    result = child.result
    return result["state"] if result and result["state"] in ENDED else "lost"
