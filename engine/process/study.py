"""Carry out a study: its children baseline and robust, then attack.

Each child is an ordinary run with a worker of its own. The two trainings work side by side where
the machine has a device for each, else one after another. When a study is resumed, a completed
child is reused, a child with a live worker is followed, and any other child is resumed. In Slurm
the children have jobs of their own, and the study's job gathers what they have left. With
``reuse`` a completed run of the home with an equal spec takes the place of a new child; of a
training the checkpoints that the study attacks must exist. The module imports no torch and knows
nothing about training and attacks.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from engine.process.child_at_work import POLL_S, ChildAtWork
from engine.process.device_queue import devices_for
from engine.process.run_context import ReportStarted, RunContext
from engine.process.stop_signal import StopRequested
from runs.slurm_queue import in_job
from runs.spec import StudySpec
from runs.store import Run, Store
from runs.study_children import ROLES, Role, child_spec, existing_or_new_child

TABLE_FIELDS = ("threat_model", "rows", "paired", "sanity")
"""Fields that the result of a study takes from the result of its attack run."""


def carry_out_study(
    context: RunContext, spec: StudySpec, report_started: ReportStarted
) -> dict[str, Any]:
    """Carry out all children and return the fields of the result.

    Args:
        context: of the study.
        spec: of the study.
        report_started: called when a child has passed its checks and has its device; the first call
            counts.

    Returns:
        The fields :data:`TABLE_FIELDS` of the attack run, the ids of the children by role, and
        the warnings of all children.

    Raises:
        StopRequested: a stop was requested; the child at work was stopped too.
        UserError: a child failed; the message is that of the child.
    """
    store = Store(context.run.home)
    children: dict[Role, Run] = {}
    started = partial(report_started, {"children": list(ROLES)})
    if in_job():
        started()
    groups: tuple[tuple[Role, ...], ...] = tuple((role,) for role in ROLES)
    if spec.parallel and not spec.share and devices_for(spec.device) // spec.devices > 1:
        groups = (("baseline", "robust"), ("attack",))
    for group in groups:
        work = []
        for role in group:
            wanted = child_spec(spec, role, children)
            child = existing_or_new_child(store, context.run, role, wanted, reuse=spec.reuse)
            work.append(ChildAtWork(child, role, context, started))
        _carry_out(work, context)
        children |= dict(zip(group, (one.run for one in work), strict=True))
    # Raw, because the rows go into a file again: the attacks of parsed rows are lists, also those
    # with a single ε, and parsing leaves out what this version doesn't know.
    result = children["attack"].raw_result or {}
    return {
        **(_seconds(list(children.values())) if in_job() else {}),
        **{field: result.get(field, []) for field in TABLE_FIELDS},
        "children": {role: child.id for role, child in children.items()},
        "warnings": [
            f"{role}: {text}"
            for role, child in children.items()
            if (ended := child.result) is not None
            for text in ended.get("warnings", [])
        ],
    }


def _seconds(children: Sequence[Run]) -> dict[str, float]:
    """Working and waiting time of a study in Slurm: those of the jobs of its children together."""
    results = [child.raw_result or {} for child in children]
    names = ("working_seconds", "waiting_seconds")
    return {name: round(sum(result.get(name, 0.0) for result in results), 3) for name in names}


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
