"""Opening files of a folder in which others may have put anything.

A pipe, a device, a socket or a folder in place of a file is refused, and never waited for.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from runs.errors import EXIT_FAILED, UserError


def refuse_limit(error: OSError) -> None:
    """Do nothing, unless the error is that of a process which has too many files open.

    Raises:
        UserError: it is; a reader must not take the file for a damaged or absent one.
    """
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise UserError(
            "too many files are open: raise the limit (ulimit -n 1024), or end other programs",
            exit_code=EXIT_FAILED,
        ) from None


def open_regular(path: Path) -> BinaryIO:
    """A file for reading.

    Raises:
        OSError: it is absent, can't be read, or is no regular file.
        UserError: no more files can be opened, which says nothing about this one.
    """
    return os.fdopen(open_regular_fd(path, os.O_RDONLY), "rb")


def open_regular_fd(path: Path, flags: int) -> int:
    """The same as a descriptor, opened with ``flags`` such as ``os.O_RDWR``; never waits."""
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        refuse_limit(error)
        raise
    try:
        check_regular(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_regular(fd: int, path: Path) -> None:
    """Do nothing for a regular file.

    Raises:
        OSError: it is something else.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
