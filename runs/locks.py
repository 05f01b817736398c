"""Locks between processes (``flock``), held as long as a file is open.

The system releases a lock when its process ends, also after SIGKILL. Some file systems (older NFS,
some of clusters) have no such locks: there a lock is taken without effect, and says so.
"""

import errno
import fcntl
import os
from pathlib import Path

from runs.regular_files import check_regular, open_regular_fd, refuse_limit

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def flock(fd: int, operation: int) -> bool:
    """``fcntl.flock``; False where the file system has no locks.

    Raises:
        BlockingIOError: another process holds the lock, and ``operation`` does not wait.
        OSError: the lock can't be taken for another reason.
    """
    try:
        fcntl.flock(fd, operation)
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            return False
        raise
    return True


def is_held(path: Path) -> bool | None:
    """Whether a live process holds the lock on a file; None: its file system has no locks.

    Of another host only where the file system carries locks between hosts. Neither disturbs the
    holder nor creates the file. Asks with a shared lock, held for a moment, so that two who ask at
    once don't take each other for the holder.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        refuse_limit(error)
        return False
    try:
        check_regular(fd, path)
        return None if not flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB) else False
    except BlockingIOError:
        return True
    except OSError:  # no file
        return False
    finally:
        os.close(fd)


class FileLock:
    """An exclusive lock on a file. The file is created if it is absent, and never removed."""

    is_supported = True
    """False after a lock was taken on a file system without locks: others may have it too."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = open_regular_fd(path, os.O_RDWR | os.O_CREAT)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return whether this process now holds it."""
        try:
            self.is_supported = flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        """Wait until the lock is free, and take it."""
        self.is_supported = flock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        """Release the lock and close its file."""
        os.close(self._fd)

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
