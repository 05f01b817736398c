"""Writes that fail for want of space or of permission, worded for a person.

Knows files and file systems, and nothing about runs.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runs.errors import EXIT_FAILED, UserError

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class StorageError(UserError):
    """A file can't be written: there is no space left, or the file system refuses it."""

    exit_code = EXIT_FAILED


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Word the errors of the storage while ``path`` is written.

    Args:
        path: the file, which need not exist.
        needed: its size in bytes, where that is known.

    Raises:
        StorageError: the file can't be written.
    """
    try:
        yield
    except Exception as error:
        if (refused := storage_error(error, path, needed)) is not None:
            raise refused from error
        if isinstance(error, OSError):
            raise StorageError(f"{path} can't be written: {error.strerror or error}") from error
        raise


def storage_error(
    error: BaseException, path: Path | None = None, needed: int | None = None
) -> StorageError | None:
    """The error of the storage behind ``error``; None where there is none.

    A library may raise an error of its own while it handles that of the storage: ``torch.save``
    says ``unexpected pos``. So the errors that led to ``error`` are looked through as well.

    Args:
        error: any error.
        path: what was written; None: the file that the error names, if it names one.
        needed: bytes that were to be written, where that is known.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StorageError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _REFUSALS:
            named = path or (Path(os.fsdecode(cause.filename)) if cause.filename else None)
            return StorageError(_sentence(cause, named, needed))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def _sentence(error: OSError, path: Path | None, needed: int | None) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _shortage(path, needed, is_quota=error.errno == errno.EDQUOT)
    file = path or "the output"
    if error.errno == errno.EROFS:
        return f"{file} can't be written: its file system is read-only"
    return f"permission denied: {file}"


def _shortage(path: Path | None, needed: int | None, *, is_quota: bool) -> str:
    if path is None:
        return "no space left for the output"
    place = mount_point(path)
    if is_quota:  # what is free on the device does not matter
        amount = "" if needed is None else f": {megabytes(needed)} needed"
        return f"the disk quota on {place} is used up{amount}"
    free = free_bytes(place)
    amounts = [] if needed is None else [f"{megabytes(needed)} needed"]
    if free is not None:
        amounts.append(f"{megabytes(free)} free")
    if free is not None and needed is not None and free > needed and not _free_inodes(place):
        amounts = ["it can hold no more files"]
    return f"no space left on {place}" + (f": {', '.join(amounts)}" if amounts else "")


def megabytes(size: int) -> str:
    """``135 MB``, ``0.3 MB``"""
    return f"{size / 1e6:.{0 if size >= 10e6 else 1}f} MB"


def mount_point(path: Path) -> Path:
    """The folder at which the file system of ``path``, which need not exist, is mounted."""
    place = path.absolute()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return place


def free_bytes(path: Path) -> int | None:
    """What this user may still write on the file system of ``path``; None where it is unknown."""
    for place in (path, *path.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _free_inodes(place: Path) -> bool:
    """Whether the file system has room for another file."""
    with suppress(OSError):
        status = os.statvfs(place)
        return status.f_files == 0 or status.f_favail > 0
    return True


def write_whole(fd: int, content: bytes) -> None:
    """Write all bytes: the system may take fewer at once, and says how many."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a file that was moved into it stays there."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system can
            raise
    finally:
        os.close(fd)


class Reserve:
    """Space for what a process writes last: a file of real blocks that is removed before.

    Used as a context: the file is there inside it, and gone after it.

    Raises:
        StorageError: there is no space for it.
    """

    BYTES = 256 * 1024

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        # Random bytes: a file system that compresses keeps no blocks for zeros.
        with writing(self._path, self.BYTES):
            try:
                with self._path.open("wb") as stream:
                    stream.write(os.urandom(self.BYTES))
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError:
                self._path.unlink(missing_ok=True)
                raise

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
