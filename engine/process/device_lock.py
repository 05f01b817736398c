"""Wait until no other run of the home works on a device. Imports no torch."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from runs.locks import FileLock

POLL_S = 0.25


def take_turn(
    name: str,
    home: Path,
    *,
    has_to_wait: Callable[[], object],
    check_stop: Callable[[], object],
) -> FileLock:
    """Wait until no other run of this home works on a device; return its lock, held.

    Args:
        name: of the device, from :func:`engine.devices.lock_name`.
        home: the folder whose runs take turns.
        has_to_wait: called once where another run holds the lock.
        check_stop: called while waiting; raises to give up.
    """
    lock = FileLock(home / "locks" / f"{socket.gethostname()}-{name}.lock")
    if lock.try_acquire():
        return lock
    has_to_wait()
    try:
        while not lock.try_acquire():
            check_stop()
            time.sleep(POLL_S)
    except BaseException:
        lock.release()
        raise
    return lock
