"""Notices that a run makes no progress, and says where its threads are.

Knows nothing about the work, and does not end it: who owns the watchdog decides what follows.
"""

import faulthandler
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from runs.events import EventWriter

if TYPE_CHECKING:  # the supervisor, which has no work of its own, needs no pydantic
    from runs.spec import AnySpec

BEFORE_FIRST = 4.0
"""How many times the limit a run may take until its first progress: it may compile its passes."""
LONGEST_LOOK_S = 10.0
"""A longer time between two looks counts as so much: the process was suspended meanwhile."""


class Watchdog:
    """Call :meth:`look` every few seconds while the work goes on.

    Args:
        events: of the run; every event of the work is progress.
        limit_s: seconds without progress that are no stall.
        on_stall: called with a sentence, once for each stall, after the stacks of all threads were
            written to stderr.
    """

    def __init__(
        self, events: EventWriter, limit_s: float, on_stall: Callable[[str], object]
    ) -> None:
        self._events, self._limit_s, self._on_stall = events, limit_s, on_stall
        self._first = self._seen = events.last_progress
        self._looked = time.monotonic()
        self._still_s = 0.0
        self._is_told = False

    def look(self) -> None:
        """Add the time since the last look to that without progress, or begin anew."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, LONGEST_LOOK_S), now
        if self._events.last_progress != self._seen:
            self._seen, self._still_s, self._is_told = self._events.last_progress, 0.0, False
            return
        self._still_s += passed
        has_progressed = self._seen != self._first
        limit_s = self._limit_s if has_progressed else BEFORE_FIRST * self._limit_s
        if self._still_s >= limit_s and not self._is_told:
            self._is_told = True
            sentence = f"no progress for {self._still_s / 60:.0f} minutes"
            with suppress(OSError, ValueError):  # a full disk, or no log at all
                print(f"{sentence}; the stacks of all threads:", file=sys.stderr, flush=True)
                faulthandler.dump_traceback(sys.stderr, all_threads=True)
            self._on_stall(sentence)


def watchdog_of(
    spec: "AnySpec", events: EventWriter, fail: Callable[[str], NoReturn]
) -> Watchdog | None:
    """What looks for the progress of a run; None for a study, which only waits for its children.

    A stall is a warning among the events; where ``on_stall`` is ``stop``, the run fails.

    Args:
        spec: of the run.
        events: of the run.
        fail: records that the run has failed, and ends the process.
    """
    if spec.kind in ("study", "sweep"):
        return None

    def tell(sentence: str) -> None:
        if spec.on_stall == "stop":
            fail(f"{sentence}, and on_stall is stop: worker.log has the stacks of its threads")
        message = f"{sentence}: worker.log has the stacks of its threads"
        events.write("log", level="warning", message=message)

    return Watchdog(events, 60 * spec.stall_minutes, tell)
