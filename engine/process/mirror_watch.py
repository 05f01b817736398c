"""Tells in a run's events when a process that mirrors it has ended before the run.

It only tests the mirrors' locks; the run goes on. See :mod:`runs.live_mirror`.
"""

from runs.events import EventWriter
from runs.live_mirror import lock_of, places_of
from runs.locks import is_held
from runs.store import Run


class MirrorWatch:
    """Looks at the mirrors of a run at each heartbeat.

    Args:
        run: that is mirrored; of most runs there is no mirror.
        events: of the run.
    """

    def __init__(self, run: Run, events: EventWriter) -> None:
        self._run, self._events = run, events
        self._loggers = [place.logger for place in places_of(run)]
        self._seen: set[str] = set()

    def look(self) -> None:
        """Tell once of each mirror that was at work and is no longer."""
        for logger in self._loggers:
            held = is_held(lock_of(self._run, logger))
            if held:
                self._seen.add(logger)
            elif held is False and logger in self._seen:
                self._seen.discard(logger)
                again = f"advtui mirror {self._run.id} --to {logger}"
                message = (
                    f"the mirror in {logger} has ended (mirror-{logger}.log may say why); the run "
                    f"goes on. {again} writes the rest"
                )
                self._events.write("log", level="info", message=message)
