"""A disk on which one operation fails, once, for want of space.

It stands between this process and the files of a folder. An operation is a kind (creation, write,
fsync or replace) and the name of a file: its occurrences count from 0.
"""

import builtins
import errno
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Operation = tuple[str, str]
"""``create``, ``write``, ``fsync`` or ``replace``, and the name of the file; ``run`` for the folder
of a run."""
Occurrence = tuple[Operation, int]


class FailingDisk:
    """Counts the operations on files below ``folder`` and lets the chosen one fail.

    Args:
        folder: whose files are watched.
        fails_at: the occurrence that fails; None: none does.
        short: whether a write that fails has written half of its bytes.
    """

    def __init__(
        self, folder: Path, fails_at: Occurrence | None = None, *, short: bool = False
    ) -> None:
        self.operations: Counter[Operation] = Counter()
        self._folder, self._fails_at, self._short = folder, fails_at, short
        self._os_write, self._os_open, self._io_open = os.write, os.open, io.open

    @contextmanager
    def mounted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Watch the operations of this process inside the context."""
        fsync, replace = os.fsync, os.replace

        def watched_fsync(fd: int) -> None:
            self._step("fsync", _path_of(fd))
            fsync(fd)

        def watched_replace(source: Any, target: Any) -> None:
            self._step("replace", target)
            replace(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", self._write)
            patched.setattr(os, "open", self._open_fd)
            patched.setattr(os, "fsync", watched_fsync)
            patched.setattr(os, "replace", watched_replace)
            patched.setattr(io, "open", self._open)
            patched.setattr(builtins, "open", self._open)
            yield

    def _step(self, operation: str, path: Any) -> None:
        try:
            watched = Path(os.fsdecode(path)).is_relative_to(self._folder)
        except TypeError:  # a file descriptor
            return
        if not watched:
            return
        # The process's number is part of the name of a temporary file.
        name = re.sub(r"\.\d+$", "", Path(os.fsdecode(path)).name)
        done = operation, re.sub(r"^\d{8}-.*", "run", name)
        self.operations[done] += 1
        if (done, self.operations[done] - 1) == self._fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write(self, fd: int, content: Any) -> int:
        try:
            self._step("write", _path_of(fd))
        except OSError:
            if self._short:
                self._os_write(fd, bytes(content)[: len(content) // 2])
            raise
        return self._os_write(fd, content)

    def _open_fd(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            self._step("create", path)
        return self._os_open(path, flags, *more, **named)

    def _open(self, file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if mode in ("wb", "xb") and not isinstance(file, int):
            self._step("create", file)
            return io.BufferedWriter(_WatchedFile(self, file, mode))
        return self._io_open(file, mode, *more, **named)


class _WatchedFile(io.FileIO):
    def __init__(self, disk: FailingDisk, path: Any, mode: str) -> None:
        super().__init__(path, mode)
        self._disk, self._path = disk, path

    def write(self, content: Any) -> int:
        self._disk._step("write", self._path)
        return super().write(content)


def _path_of(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()
