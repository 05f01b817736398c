"""Mirrors a run while it works: ``python -P -m runs.live_mirror RUN_DIR LOGGER DIR``.

A process of its own, at low priority, that only reads the run's files: a logger that fails, hangs
or is killed does not touch the run. It is started with the run and with each resume, follows the
run and its children, and ends with the run. What is to be mirrored is in ``mirrors.json`` and not
in the spec, so it does not make two runs unequal.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runs.errors import EXIT_FAILED
from runs.jsonfiles import read_json, write_json
from runs.locks import FileLock, is_held
from runs.store import Run, Store

MIRRORS_FILE = "mirrors.json"
POLL_S = 2.0
"""Seconds between two looks at the run's files."""
LOCK_TRIES = 50
"""Attempts to take the mirror's lock, 0.1 s apart: who tests a lock holds it briefly."""
START_S = 60.0
"""Seconds in which a worker must be seen: before that, the end of an earlier attempt is no end."""
NICENESS = 10


class Place(NamedTuple):
    """A logger and its folder."""

    logger: str
    folder: Path


def parse_places(words: Sequence[str], home: Path) -> list[Place]:
    """``tensorboard``, or ``tensorboard:DIR``, as logger and folder.

    Raises:
        UserError: a logger is unknown or not installed.
    """
    if not words:  # most runs: nothing of the mirrors is imported
        return []
    from runs.mirror import default_folder
    from runs.mirror_writers import check_logger

    places = {}
    for word in words:
        logger, _, folder = word.partition(":")
        check_logger(logger)
        given = Path(folder).expanduser().absolute() if folder else default_folder(home, logger)
        places[logger] = Place(logger, given)
    return list(places.values())


def attach(run: Run, places: Sequence[Place]) -> None:
    """Note where a run is to be mirrored whenever it works."""
    if places:
        write_json(run.path / MIRRORS_FILE, {place.logger: str(place.folder) for place in places})


def places_of(run: Run) -> list[Place]:
    """Where a run is mirrored while it works; [] of most runs."""
    noted = read_json(run.path / MIRRORS_FILE) or {}
    return [Place(logger, Path(str(folder))) for logger, folder in noted.items()]


def lock_of(run: Run, logger: str) -> Path:
    """Held by the process that mirrors the run in this logger."""
    return run.path / f"mirror-{logger}.lock"


def mirror_words(run: Run) -> str | None:
    """``tensorboard in /home/mirrors/tensorboard (at work)``; None without a mirror."""
    words = [
        f"{place.logger} in {place.folder}"
        + (" (at work)" if is_held(lock_of(run, place.logger)) else "")
        for place in places_of(run)
    ]
    return "; ".join(words) or None


def start_mirrors(run: Run) -> None:
    """Start a process for each mirror of a run, in a session of its own; returns at once."""
    for place in places_of(run):
        with (run.path / f"mirror-{place.logger}.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "runs.live_mirror", str(run.path), *map(str, place)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"},
            )


def follow(run: Run, place: Place) -> None:
    """Mirror a run and its children until it ends.

    A run that is resumed has the end of its earlier attempt until its worker has begun: that worker
    is awaited for a minute.
    """
    from runs.mirror import Mirror, has_ended

    store = Store(run.home)
    mirrors: dict[str, Mirror] = {}
    began, was_at_work = time.monotonic(), False
    while True:
        ended = has_ended(run)  # before reading, so that no event is missed
        was_at_work = was_at_work or not ended
        awaited = not was_at_work and time.monotonic() - began < START_S
        for member in store.family(run) if run.kind in ("study", "sweep") else [run]:
            if member.id not in mirrors:
                mirrors[member.id] = Mirror(store, member, place.logger, place.folder)
            mirrors[member.id].update()
        if ended and (run.state() == "completed" or not awaited):
            break
        time.sleep(POLL_S)
    for mirror in mirrors.values():
        mirror.close()


def main(arguments: Sequence[str]) -> int:
    """Follow one run; nothing where another process mirrors it in this logger already."""
    folder, logger, place = arguments
    run = Run(Path(folder))
    os.nice(NICENESS)
    lock = FileLock(lock_of(run, logger))
    for _ in range(LOCK_TRIES):
        if lock.try_acquire():
            break
        time.sleep(0.1)
    else:
        return 0
    try:
        follow(run, Place(logger, Path(place)))
    except Exception as error:  # a logger's library can raise anything
        print(f"the mirror in {logger} ended: {type(error).__name__}: {error}", flush=True)
        return EXIT_FAILED
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
