"""Stop requests to a worker: signals, or a request file in the run's folder.

Knows nothing about what is done at a stop.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.process.signals import STOP_SIGNALS, release_signals
from runs.interruption import STOP_FILE
from runs.store import Run

CHECK_EVERY_S = 0.5
"""Shortest time between two checks for the request file, in seconds."""
AGAIN_S = 2.0
"""Seconds after the first signal in which others belong to the same request: a scheduler and the
command that follows the run may each send one."""


class StopRequested(BaseException):
    """Ends the work after a stop request. The run can be resumed from its last checkpoint.

    Not an ``Exception``: it may come from a signal in the middle of a step, and code that handles
    the errors of a step must let it pass.
    """


class StopSignal:
    """Whether a stop of this worker was requested, and whether at once."""

    def __init__(self, run: Run) -> None:
        self._file = run.path / STOP_FILE
        self._is_requested = False
        self._checked_at = 0.0
        self._signalled_at: float | None = None
        self._may_raise = False
        self.is_urgent = False
        """Whether a second signal has asked for a stop at once."""

    def listen(self) -> None:
        """Take :data:`STOP_SIGNALS` as stop requests. Call it from the main thread."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)
        release_signals()

    def _note(self, *_: object) -> None:
        now = time.monotonic()
        self._is_requested = True
        if self._signalled_at is None:
            self._signalled_at = now
        elif now - self._signalled_at >= AGAIN_S:
            self.is_urgent = True
            if self._may_raise:
                self._may_raise = False
                raise StopRequested

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In this block a second signal raises StopRequested, wherever the work is."""
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

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
