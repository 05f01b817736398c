"""Wait for the runs that go first, before torch is imported.

The workers of all seeds of one command start at once, so that no seed is lost with the terminal.
The lock of their device would not be enough to queue them. It has no order: any waiting worker may
get it, so the children of several studies would alternate and all tables would come at the end. And
a worker that waits for it has already imported torch, which takes about 430 MB each, and on a GPU a
CUDA context as well. The module knows nothing about the work of a run.
"""

import time
from collections.abc import Callable, Sequence

from engine.process.stop_signal import StopSignal
from runs.launch import is_carried_out
from runs.store import LIVE, Run

POLL_S = 0.25
"""Seconds between two checks of the run that goes first."""


def wait_for_runs(runs: Sequence[Run], stop: StopSignal, on_wait: Callable[[Run], object]) -> None:
    """Return when none of ``runs`` is queued or running any more, in whatever state it ended.

    A run whose worker was killed counts as ended once it is lost (:data:`runs.store.SILENCE_S`).

    Args:
        runs: in the order in which they are waited for.
        stop: ends the wait.
        on_wait: called once with each run that has to be waited for.

    Raises:
        StopRequested: a stop was requested meanwhile.
    """
    for run in runs:
        if _is_live(run):
            on_wait(run)
        while _is_live(run):
            stop.check()
            time.sleep(POLL_S)


def _is_live(run: Run) -> bool:
    return run.state() in LIVE or is_carried_out(run)
