"""The clock of the file system that holds a home, for files that other hosts write.

Two hosts that share a home may have clocks that differ. The file system stamps the files of both
with one clock, which is read by writing a file.
"""

import os
import tempfile
import time
from pathlib import Path

MEASURE_S = 300.0
"""Seconds between two measurements of the difference of the clocks."""
_measured: dict[int, tuple[float, float]] = {}
"""By device number: when (monotonic), and how far the file system's clock is ahead, in seconds."""


def changed_at(path: Path) -> float | None:
    """When a file was last written, in unix seconds of this host's clock; None without the file.

    Where nothing can be written beside the runs, both clocks are taken to be equal.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime - _ahead(path.parent, status.st_dev)


def _ahead(folder: Path, device: int) -> float:
    """How many seconds the file system's clock is ahead of this host's."""
    known = _measured.get(device)
    if known is not None and time.monotonic() - known[0] < MEASURE_S:
        return known[1]
    ahead = 0.0
    try:
        # Beside the runs, whose folders' times of change are watched.
        fd, name = tempfile.mkstemp(prefix=".clock-", dir=folder.parent.parent)
    except OSError:
        pass
    else:
        try:
            os.write(fd, b".")
            ahead = os.fstat(fd).st_mtime - time.time()
        except OSError:
            pass
        finally:
            os.close(fd)
            Path(name).unlink(missing_ok=True)
    if abs(ahead) < 1.0:  # the grain of a file system's times
        ahead = 0.0
    _measured[device] = (time.monotonic(), ahead)
    return ahead
