"""Baseline, robust, attacks, table: a study's children, in order. Imports no torch.

Each child is an ordinary run with a worker of its own. On resume a completed child is used
again, a live one is followed, any other is resumed; ``reuse`` looks for completed runs with the
same spec in the whole home.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any, Literal, get_args

from engine.process.stop_signal import StopRequested, StopSignal
from runs.errors import EXIT_FAILED, UserError
from runs.events import EventWriter
from runs.launch import is_carried_out, request_stop, start_worker
from runs.results import default_checkpoints, row_label
from runs.spec import AttackSpec, CheckpointRef, StudySpec, TrainSpec
from runs.store import ENDED, Run, Store

Role = Literal["baseline", "robust", "attack"]
ROLES: tuple[Role, ...] = get_args(Role)
POLL_S = 0.2
NOT_THE_OUTCOME = ("name", "device", "threads", "share", "data_dir", "compile", "profile")
"""Fields that two equal runs may differ in."""


def carry_out_study(
    run: Run,
    spec: StudySpec,
    events: EventWriter,
    stop: StopSignal,
    started: Callable[..., None],
) -> dict[str, Any]:
    """Carry out all children and return the fields of the result: the attack run's table.

    Raises:
        StopRequested: a stop was asked for; the child at work has been stopped too.
        UserError: a child failed; the message is its own.
    """
    store = Store(run.home)
    done: dict[str, Run] = {}

    def begun() -> None:
        if not done:  # a study starts when its first child has passed its checks and its queue
            started(children=list(ROLES))

    for role in ROLES:
        child_spec = spec.child(role)
        if isinstance(child_spec, AttackSpec):
            child_spec = child_spec.model_copy(update={"checkpoints": _references(done)})
        child = _child(store, run, role, child_spec, reuse=spec.reuse)
        _follow(child, role, events, stop, begun)
        done[role] = child
    result = done["attack"].result or {}
    return {
        "threat_model": result["threat_model"],
        "rows": result["rows"],
        "paired": result.get("paired", []),
        "sanity": result.get("sanity", []),
        "children": {role: child.id for role, child in done.items()},
    }


def _references(done: dict[str, Run]) -> tuple[CheckpointRef, ...]:
    return tuple(
        CheckpointRef(run=child.id, checkpoint=name, label=row_label(child, name))
        for child in done.values()
        for name in default_checkpoints(child.mode)
    )


def _child(
    store: Store, study: Run, role: Role, spec: TrainSpec | AttackSpec, *, reuse: bool
) -> Run:
    own = [child for child in store.children(study) if child.role == role]
    if own:
        return own[-1]
    if reuse:
        for other in store.runs():
            if other.kind == spec.kind and other.state() == "completed" and _same(other, spec):
                return other
    return store.create(spec, parent=study.id, role=role)


def _same(other: Run, spec: TrainSpec | AttackSpec) -> bool:
    """Whether it came of an equal spec: fields younger than the run had what is now their default.

    A run that can't be read today came of no spec that can be asked for.
    """
    try:
        return _outcome(other.spec) == _outcome(spec)
    except UserError:
        return False


def _outcome(spec: TrainSpec | AttackSpec | StudySpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude=set(NOT_THE_OUTCOME))


def _follow(
    child: Run, role: Role, events: EventWriter, stop: StopSignal, begun: Callable[[], None]
) -> None:
    """See the child through to its end, and say what becomes of it.

    ``begun`` is called once, when the child has started.
    """
    worker: subprocess.Popen[bytes] | None = None
    state: str = child.state()
    if state != "completed" and not is_carried_out(child):
        stop.check()
        worker = start_worker(child)
        state = "queued"
    events.write("child", run=child.id, role=role, state=state)
    asked = has_begun = False
    while True:
        ended = _ended(child, worker)
        if not has_begun and child.was_started:
            has_begun = True
            begun()
        now = child.state() if ended is None else ended
        if now != state:
            state = now
            events.write("child", run=child.id, role=role, state=state)
        if ended is not None:
            break
        if stop.requested and not asked:
            asked = True
            request_stop(child)
        time.sleep(POLL_S)
    if state == "completed":
        return
    if state == "interrupted":
        raise StopRequested
    error = (child.result or {}).get("error", {})
    message = f"{role} {child.id}: {error.get('message', 'its worker died')}"
    raise UserError(message, exit_code=int(error.get("exit_code", EXIT_FAILED)))


def _ended(child: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    """The child's final state once its worker is gone, else None."""
    if worker is not None:
        if worker.poll() is None:
            return None
    elif is_carried_out(child):
        return None
    state = str((child.result or {}).get("state"))
    return state if state in ENDED else "lost"
