"""Carry out a sweep: a run for each point of its grid, as many at once as there are devices.

Points that were added meanwhile are taken up. A point that fails does not end the others; a stop
ends those at work. In Slurm the points have jobs of their own, and the sweep's job gathers what
they have left. Imports no torch.
"""

import time
from functools import partial
from typing import Any

from engine.process.child_at_work import POLL_S, ChildAtWork
from engine.process.device_queue import devices_for
from engine.process.run_context import ReportStarted, RunContext
from runs.errors import EXIT_FAILED, UserError
from runs.spec import SweepSpec
from runs.store import Store
from runs.sweep_points import ROLE, Point, PointRuns, addition, points_of
from runs.sweep_table import sweep_table


def carry_out_sweep(
    context: RunContext, spec: SweepSpec, report_started: ReportStarted
) -> dict[str, Any]:
    """Carry out all points and return the fields of the result.

    Args:
        context: of the sweep.
        spec: of the sweep.
        report_started: called when a point has started; the first call counts.

    Returns:
        ``sweep``: the table; ``warnings``: those of all points.

    Raises:
        StopRequested: a stop was requested; the points at work were stopped too.
        UserError: points have failed; the message names the first.
    """
    runs = PointRuns(Store(context.run.home), context.run, spec)
    most = _at_once(spec)
    waiting: list[Point] = []
    seen: set[str] = set()
    at_work: list[ChildAtWork] = []
    ended: list[ChildAtWork] = []
    started = partial(report_started, {"children": [ROLE]})
    read_at: int | None = None

    while True:
        if (latest := addition(context.run)) != read_at:
            read_at = latest
            new = [point for point in points_of(context.run, spec) if point.key not in seen]
            seen |= {point.key for point in new}
            waiting += new
        while waiting and len(at_work) < most and not context.stop.requested:
            child = ChildAtWork(runs.run_of(waiting.pop(0)), ROLE, context, started)
            child.start()
            at_work.append(child)
            child.look()
            if child.ended is not None:
                started()
                ended.append(at_work.pop())
        for child in list(at_work):
            child.look()
            if child.ended is not None:
                at_work.remove(child)
                ended.append(child)
        if not at_work and (not waiting or context.stop.requested):
            break
        time.sleep(POLL_S)
    if waiting:
        context.stop.check()
    _check(ended, context)
    return {
        "sweep": sweep_table(context.run),
        "warnings": [
            f"{child.run.name or child.run.id}: {text}"
            for child in ended
            if (result := child.run.result) is not None
            for text in result.get("warnings", [])
        ],
    }


def _at_once(spec: SweepSpec) -> int:
    """How many points have a worker: those for which there are devices, and the next one."""
    return 1 + max(1, devices_for(spec.device) // spec.devices)


def _check(ended: list[ChildAtWork], context: RunContext) -> None:
    """Refuse to complete a sweep of which points were not completed."""
    context.stop.check()
    failed = [child for child in ended if child.ended != "completed"]
    if not failed:
        return
    try:
        failed[0].check()
    except UserError as error:
        reason = str(error)
        left = f"{len(failed)} of {len(ended)} points did not complete"
        raise UserError(f"{left}; the first: {reason}", exit_code=EXIT_FAILED) from None
