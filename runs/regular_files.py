"""Opening files of a folder in which others may have put anything.

A pipe, a device, a socket or a folder in place of a file is refused, and never waited for.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A file for reading.

    Raises:
        OSError: it is absent, can't be read, or is no regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        check_regular(fd, path)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def check_regular(fd: int, path: Path) -> None:
    """Do nothing for a regular file.

    Raises:
        OSError: it is something else.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
