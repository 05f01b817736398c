"""Wait for a device until no other run of the home uses it.

Imports no torch: a device is a name here.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from runs.locks import FileLock

POLL_S = 0.25
"""Seconds between two attempts to take a lock."""


def take_turn(
    name: str,
    home: Path,
    *,
    on_wait: Callable[[], object],
    check_stop: Callable[[], object],
) -> FileLock:
    """Wait until no other run of this home uses a device; return its lock, held.

    The caller releases the lock.

    Args:
        name: of the device, from :func:`engine.devices.lock_name`.
        home: the folder whose runs take turns.
        on_wait: called once if another run holds the lock.
        check_stop: called while waiting, every :data:`POLL_S` seconds; raises to end the wait.
    """
    lock = FileLock(home / "locks" / f"{socket.gethostname()}-{name}.lock")
    if lock.try_acquire():
        return lock
    on_wait()
    try:
        while not lock.try_acquire():
            check_stop()
            time.sleep(POLL_S)
    except BaseException:
        lock.release()
        raise
    return lock
