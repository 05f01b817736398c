"""Stop requests to a worker: a signal, or a request file in the run's folder.

Knows nothing about what is done at a stop.
"""

import signal
import time

from runs.launch import STOP_FILE
from runs.store import Run

CHECK_EVERY_S = 0.5
"""Shortest time between two checks for the request file, in seconds."""


class StopRequested(Exception):
    """Ends the work after a stop request. The run can be resumed from its last checkpoint."""


class StopSignal:
    """Whether a stop of this worker was requested."""

    def __init__(self, run: Run) -> None:
        self._file = run.path / STOP_FILE
        self._is_requested = False
        self._checked_at = 0.0

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as stop requests. Call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self._is_requested = True

    @property
    def requested(self) -> bool:
        """True from the first request on."""
        now = time.monotonic()
        if not self._is_requested and now - self._checked_at >= CHECK_EVERY_S:
            self._checked_at = now
            self._is_requested |= self._file.exists()  # a signal may come meanwhile
        return self._is_requested

    def check(self) -> None:
        """Do nothing if no stop was requested.

        Raises:
            StopRequested: a stop was requested.
        """
        if self.requested:
            raise StopRequested
