"""How a worker learns that it should stop: a signal, or a request file in the run's folder."""

import signal
import time

from runs.launch import STOP_FILE
from runs.store import Run

LOOK_EVERY_S = 0.5


class StopRequested(Exception):
    """The work ends here because it was asked to; what is saved can be resumed."""


class StopSignal:
    """Whether somebody has asked this worker to stop."""

    def __init__(self, run: Run) -> None:
        self._file = run.path / STOP_FILE
        self._asked = False
        self._looked = 0.0

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests; call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self._asked = True

    @property
    def requested(self) -> bool:
        now = time.monotonic()
        if not self._asked and now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._asked = self._file.exists()
        return self._asked

    def check(self) -> None:
        """Raises StopRequested where a stop was asked for."""
        if self.requested:
            raise StopRequested
