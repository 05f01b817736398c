"""Wait for the runs that go first, before anything heavy is imported.

The seeds of one command are started all at once, so that a dropped terminal costs none of them.
Their device's lock alone would not queue them well: it has no order (the worker that looks first
gets it, so the parts of several studies would take turns and every table come last), and who
waits for it holds torch already, some 430 MB each, with a GPU a CUDA context too. Knows nothing
of the work.
"""

import time
from collections.abc import Callable, Sequence

from engine.process.stop_signal import StopSignal
from runs.launch import is_carried_out
from runs.store import LIVE, Run

POLL_S = 0.25


def wait_for_runs(
    runs: Sequence[Run], stop: StopSignal, has_to_wait: Callable[[Run], object]
) -> None:
    """Return when none of ``runs`` is queued or running any more, however it has ended.

    ``has_to_wait`` is called once for each that is waited for. A run whose worker was killed
    counts as ended once it is lost (:data:`runs.store.SILENCE_S`).

    Raises:
        StopRequested: a stop was asked for meanwhile.
    """
    for run in runs:
        if _is_live(run):
            has_to_wait(run)
        while _is_live(run):
            stop.check()
            time.sleep(POLL_S)


def _is_live(run: Run) -> bool:
    return run.state() in LIVE or is_carried_out(run)
