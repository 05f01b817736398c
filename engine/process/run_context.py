"""The run that a worker carries out, the events that it writes, and the stop requests that it gets.

Knows nothing about the kinds of runs.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from engine.process.device_queue import DeviceQueue
from engine.process.stop_signal import StopSignal
from runs.event_types import StartedFields
from runs.events import EventWriter
from runs.store import Run

REPORT_S = 0.5
"""Least seconds between two reports of the bytes that are done."""

ReportStarted = Callable[[StartedFields], None]
"""Writes the ``started`` event at its first call: all checks passed and the run has its device."""


@dataclass(frozen=True)
class RunContext:
    """A run with its events and stop requests: what every part of a worker needs."""

    run: Run
    events: EventWriter
    """Appends to the run's ``events.jsonl``."""
    stop: StopSignal
    queue: DeviceQueue | None = None
    """Its ticket for a device; None where it does not wait for other runs."""
    fail: Callable[[str], NoReturn] | None = None
    """Records that the run has failed and ends the process, from any thread; None on ranks other
    than 0, which write no files."""

    def reporting_bytes(self, task: str) -> Callable[[int, int], None]:
        """A function that is called with the bytes done and all bytes of a task.

        It writes a ``progress`` event twice a second and at the end, and raises StopRequested when
        a stop was requested.
        """
        reported_at = -REPORT_S

        def report(done: int, total: int) -> None:
            nonlocal reported_at
            now = time.monotonic()
            if done == total or now - reported_at >= REPORT_S:
                reported_at = now
                self.events.write(
                    "progress", task=task, done=done, total=total, unit="bytes", rate=None
                )
            self.stop.check()

        return report
