"""Carry out a study: its children baseline, robust and attack, one after another.

Each child is an ordinary run with a worker of its own. When a study is resumed, a completed child
is reused, a child with a live worker is followed, and any other child is resumed. With ``reuse`` a
completed run of the home with an equal spec takes the place of a new child; of a training the
checkpoints that the study attacks must exist. The module imports no torch and knows nothing about
training and attacks.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any, Literal, get_args

from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import AGAIN_S, StopRequested
from runs.errors import EXIT_FAILED, UserError
from runs.launch import request_stop, start_worker
from runs.lost_worker import why_no_result
from runs.results import default_checkpoints, row_label
from runs.spec import AttackSpec, CheckpointRef, StudySpec, TrainSpec, outcome_fields
from runs.store import ENDED, Run, Store

Role = Literal["baseline", "robust", "attack"]
ROLES: tuple[Role, ...] = get_args(Role)
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
    children: dict[str, Run] = {}

    def child_started() -> None:
        # A study starts when its first child has passed its checks and has its device. ``children``
        # holds those that have ended: while the first one works, it is empty.
        if not children:
            report_started({"children": list(ROLES)})

    for role in ROLES:
        child_spec = spec.child(role).model_copy(update={"retries": spec.retries})
        if isinstance(child_spec, AttackSpec):
            child_spec = child_spec.model_copy(update={"checkpoints": _references(children)})
        child = _existing_or_new_child(store, context.run, role, child_spec, reuse=spec.reuse)
        _carry_out_child(child, role, context, child_started)
        children[role] = child
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


def _references(children: dict[str, Run]) -> tuple[CheckpointRef, ...]:
    """The checkpoints to attack, in the order of the table's rows."""
    return tuple(
        CheckpointRef(run=child.id, checkpoint=name, label=row_label(child, name))
        for child in children.values()
        for name in default_checkpoints(child.mode)
    )


def _existing_or_new_child(
    store: Store, study: Run, role: Role, spec: TrainSpec | AttackSpec, *, reuse: bool
) -> Run:
    """The run for a role: the existing child, else (``reuse``) an equal run, else a new run.

    An equal run is completed, has the checkpoints that the study attacks, and its spec is equal.
    """
    existing = [child for child in store.children(study) if child.role == role]
    if existing:
        return existing[-1]
    if reuse:
        for other in store.runs():
            if other.kind == spec.kind and _is_reusable(other) and _is_same(other, spec):
                return other
    return store.create(spec, parent=study.id, role=role)


def _is_reusable(run: Run) -> bool:
    """Whether a run is completed and has the checkpoints that :func:`_references` names."""
    if run.state() != "completed":
        return False
    return run.kind != "train" or set(default_checkpoints(run.mode)) <= set(run.checkpoints())


def _is_same(other: Run, spec: TrainSpec | AttackSpec) -> bool:
    """Whether a run's spec is equal, apart from :data:`runs.spec.MAY_DIFFER`.

    A field that did not exist when the run was made has its default. A spec that this version can't
    read equals no other.
    """
    try:
        return outcome_fields(other.spec) == outcome_fields(spec)
    except UserError:
        return False


def _carry_out_child(
    child: Run, role: Role, context: RunContext, child_started: Callable[[], None]
) -> None:
    """Start the child or follow its live worker, wait for its end, and write its states as events.

    ``child_started`` is called once, when the child has started.

    Raises:
        StopRequested: the child was interrupted.
        UserError: the child failed, or its worker exited without a result.
    """
    worker: subprocess.Popen[bytes] | None = None
    state: str = child.state()
    if state != "completed" and not child.has_worker:
        context.stop.check()
        if place := context.run.place:
            child.set_place(place)
        worker = start_worker(child)
        state = "queued"
    context.events.write("child", run=child.id, role=role, state=state)
    has_started = False
    forwarded, forward_from = 0, 0.0
    while True:
        ended = _ended(child, worker)
        if not has_started and child.was_started:
            has_started = True
            if context.queue is not None:
                context.queue.end_wait()
            child_started()
        current = child.state() if ended is None else ended
        if current != state:
            state = current
            context.events.write("child", run=child.id, role=role, state=state)
        if ended is not None:
            break
        if context.queue is not None and not has_started:
            context.queue.report_place()
        wanted = 2 if context.stop.is_urgent else int(context.stop.requested)
        if forwarded < wanted and time.monotonic() >= forward_from:
            request_stop(child, at_once=forwarded > 0)
            # Sooner, the child would take a second one for the same request.
            forwarded, forward_from = forwarded + 1, time.monotonic() + AGAIN_S + POLL_S
        time.sleep(POLL_S)
    if state == "completed":
        return
    if state == "interrupted":
        raise StopRequested
    failure = child.failure
    exit_status = None if worker is None else worker.returncode
    reason = failure["message"] if failure else why_no_result(child, exit_status)
    exit_code = failure.get("exit_code", EXIT_FAILED) if failure else EXIT_FAILED
    raise UserError(f"{role} {child.id}: {reason}", exit_code=exit_code)


def _ended(child: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    """The child's final state once its worker has exited, else None."""
    if worker is not None:
        if worker.poll() is None:
            return None
    elif child.has_worker:
        return None
    result = child.result
    return result["state"] if result and result["state"] in ENDED else "lost"
