"""Carry out a study: its children baseline and robust, then attack.

Each child is an ordinary run with a worker of its own. The two trainings work side by side where
the machine has a device for each, else one after another. When a study is resumed, a completed
child is reused, a child with a live worker is followed, and any other child is resumed. In Slurm
the children have jobs of their own, and the study's job gathers what they have left. With
``reuse`` a completed run of the home with an equal spec takes the place of a new child; of a
training the checkpoints that the study attacks must exist. The module imports no torch and knows
nothing about training and attacks.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from engine.process.device_queue import devices_for
from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import AGAIN_S, StopRequested
from runs.errors import EXIT_FAILED, UserError
from runs.launch import request_stop, start_worker
from runs.lost_worker import why_no_result
from runs.run_state import ENDED
from runs.slurm_queue import in_job
from runs.spec import StudySpec
from runs.store import Run, Store
from runs.study_children import ROLES, Role, child_spec, existing_or_new_child

POLL_S = 0.2
"""Seconds between two checks of the child at work."""
TABLE_FIELDS = ("threat_model", "rows", "paired", "sanity")
"""Fields that the result of a study takes from the result of its attack run."""


def carry_out_study(
    context: RunContext, spec: StudySpec, report_started: ReportStarted
) -> dict[str, Any]:
    """Carry out all children and return the fields of the result.

    Args:
        context: of the study.
        spec: of the study.
        report_started: called when the first child has started.

    Returns:
        The fields :data:`TABLE_FIELDS` of the attack run, the ids of the children by role, and
        the warnings of all children.

    Raises:
        StopRequested: a stop was requested; the child at work was stopped too.
        UserError: a child failed; the message is that of the child.
    """
    store = Store(context.run.home)
    children: dict[Role, Run] = {}
    is_started = False

    def child_started() -> None:
        # A study starts when its first child has passed its checks and has its device.
        nonlocal is_started
        if not is_started:
            is_started = True
            report_started({"children": list(ROLES)})

    if in_job():
        report_started({"children": list(ROLES)})
    groups: tuple[tuple[Role, ...], ...] = tuple((role,) for role in ROLES)
    if spec.parallel and not spec.share and devices_for(spec.device) > 1:
        groups = (("baseline", "robust"), ("attack",))
    for group in groups:
        work = []
        for role in group:
            wanted = child_spec(spec, role, children)
            child = existing_or_new_child(store, context.run, role, wanted, reuse=spec.reuse)
            work.append(ChildAtWork(child, role, context, child_started))
        _carry_out(work, context)
        children |= {one.role: one.run for one in work}
    # Raw, because the rows go into a file again: the attacks of parsed rows are lists, also those
    # with a single ε, and parsing leaves out what this version doesn't know.
    result = children["attack"].raw_result or {}
    return {
        **{field: result.get(field, []) for field in TABLE_FIELDS},
        "children": {role: child.id for role, child in children.items()},
        "warnings": [
            f"{role}: {text}"
            for role, child in children.items()
            if (ended := child.result) is not None
            for text in ended.get("warnings", [])
        ],
    }


class ChildAtWork:
    """A child from its start to its end. Writes its states as events of the study.

    Args:
        run: the child.
        role: of the child.
        context: of the study.
        on_start: called once, when the child has started.
    """

    def __init__(
        self, run: Run, role: Role, context: RunContext, on_start: Callable[[], None]
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


def _carry_out(work: Sequence[ChildAtWork], context: RunContext) -> None:
    """Carry out children side by side; if one does not complete, the others are stopped.

    Raises:
        StopRequested: a child was interrupted.
        UserError: a child failed, or its worker exited without a result.
    """
    started: list[ChildAtWork] = []
    try:
        for child in work:
            child.start()
            started.append(child)
    except StopRequested:
        if not started:
            raise
    while any(child.ended is None for child in started):
        for child in started:
            child.look()
            if any(other.ended not in (None, "completed") for other in started):
                child.forward(int(child.ended is None))
        if any(child.ended is None for child in started):
            time.sleep(POLL_S)
    # What failed is told before what was only stopped for that.
    for child in sorted(started, key=lambda child: child.ended == "interrupted"):
        child.check()
    if len(started) < len(work):
        context.stop.check()


def _ended(child: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    """The child's final state once its worker has exited, else None."""
    if worker is not None:
        if worker.poll() is None:
            return None
    elif child.has_worker:
        return None
    result = child.result
    return result["state"] if result and result["state"] in ENDED else "lost"
