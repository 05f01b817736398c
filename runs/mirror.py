"""Mirrors runs in a logger: reads their files, and writes them through the logger's library.

It only reads the runs. A run that is mirrored again is the same run in the logger.
"""

from collections.abc import Iterable
from pathlib import Path

from runs.mirror_content import ContentReader, Point
from runs.mirror_writers import check_logger, writer
from runs.run_state import ENDED
from runs.store import Run, Store


def default_folder(home: Path, logger: str) -> Path:
    """Where a logger's mirrors lie: below the home."""
    return home / "mirrors" / logger


class Mirror:
    """One run in one logger, kept up to date by :meth:`update`.

    Args:
        store: of the run's home.
        run: to mirror.
        logger: one of :data:`runs.mirror_writers.LOGGERS`.
        folder: of the logger.

    Raises:
        UserError: the logger is unknown or not installed.
    """

    def __init__(self, store: Store, run: Run, logger: str, folder: Path) -> None:
        self._reader = ContentReader(store, run)
        self._writer = writer(logger, folder)
        self._sent: tuple[Point, ...] | None = None
        self._state = ""

    def update(self) -> None:
        """Write what is new. Where a resumed run has taken points back, begin the run afresh."""
        content = self._reader.content()
        self._state = content.state
        if self._sent is None or content.points[: len(self._sent)] != self._sent:
            self._writer.begin(content)
            self._sent = ()
        self._writer.add(content.points[len(self._sent) :])
        self._sent = content.points

    def close(self) -> None:
        """Note the run's state and close it in the logger."""
        if self._sent is not None:
            self._writer.end(self._state)


def mirror_runs(store: Store, words: Iterable[str], logger: str, folder: Path) -> list[Run]:
    """Mirror the runs that are named, each with its children; those mirrored.

    Raises:
        NotFoundError: there is no such run; nothing is written.
        UserError: the logger is unknown or not installed.
    """
    check_logger(logger)
    found: dict[str, Run] = {}
    for word in words:
        found |= {member.id: member for member in store.family(store.find(word))}
    for run in found.values():
        mirror = Mirror(store, run, logger, folder)
        mirror.update()
        mirror.close()
    return list(found.values())


def has_ended(run: Run) -> bool:
    """Whether nothing more is written by a run: it has a result or is lost, and no worker."""
    return run.state() in (*ENDED, "lost") and not run.has_worker
