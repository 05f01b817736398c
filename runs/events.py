"""``events.jsonl``: what happens in a run, one JSON object per line.

One writer appends each line with one ``os.write`` under ``O_APPEND``, so that readers see whole
lines even if the writer is killed. Readers keep a byte offset and hold back an unfinished last
line. Life-cycle events are flushed to the disk; the system writes the others when it likes.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from runs.event_types import (
    VERSION,
    AttackEvent,
    AttackFields,
    CheckpointEvent,
    CheckpointFields,
    ChildEvent,
    ChildFields,
    EndedEvent,
    EndedFields,
    Event,
    HeartbeatEvent,
    HeartbeatFields,
    LogEvent,
    LogFields,
    MetricEvent,
    MetricFields,
    ProgressEvent,
    ProgressFields,
    StartedEvent,
    StartedFields,
    SystemEvent,
    SystemFields,
    parse_event,
)
from runs.jsonfiles import plain

DURABLE = frozenset({"started", "checkpoint", "child", "ended"})
"""Kinds that are flushed to the disk."""
_IDLE = frozenset({"heartbeat", "system", "log"})
"""Kinds that are no progress of the work."""


class EventWriter:
    """The one writer of a run's ``events.jsonl``; safe to share among threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._end_torn_line()
        self.last_progress = time.time()

    def _end_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    @overload
    def write(self, kind: Literal["started"], **fields: Unpack[StartedFields]) -> StartedEvent: ...
    @overload
    def write(self, kind: Literal["metric"], **fields: Unpack[MetricFields]) -> MetricEvent: ...
    @overload
    def write(
        self, kind: Literal["progress"], **fields: Unpack[ProgressFields]
    ) -> ProgressEvent: ...
    @overload
    def write(self, kind: Literal["attack"], **fields: Unpack[AttackFields]) -> AttackEvent: ...
    @overload
    def write(
        self, kind: Literal["checkpoint"], **fields: Unpack[CheckpointFields]
    ) -> CheckpointEvent: ...
    @overload
    def write(self, kind: Literal["system"], **fields: Unpack[SystemFields]) -> SystemEvent: ...
    @overload
    def write(
        self, kind: Literal["heartbeat"], **fields: Unpack[HeartbeatFields]
    ) -> HeartbeatEvent: ...
    @overload
    def write(self, kind: Literal["child"], **fields: Unpack[ChildFields]) -> ChildEvent: ...
    @overload
    def write(self, kind: Literal["log"], **fields: Unpack[LogFields]) -> LogEvent: ...
    @overload
    def write(self, kind: Literal["ended"], **fields: Unpack[EndedFields]) -> EndedEvent: ...
    def write(self, kind: str, **fields: Any) -> Event:
        """Append one event and return it. NaN and infinities become null."""
        event = {"v": VERSION, "t": round(time.time(), 3), "kind": kind, **plain(fields)}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            os.write(self._fd, line)
            if kind in DURABLE:
                os.fsync(self._fd)
        if kind not in _IDLE:
            self.last_progress = time.time()
        return event  # type: ignore[return-value]

    def is_in_place(self) -> bool:
        """Whether readers still find this file at its path: not deleted, moved or replaced."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False
        except OSError:  # a file server that does not answer says nothing
            return True

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._fd)
        os.close(self._fd)


class EventReader:
    """Reads a growing ``events.jsonl``: :meth:`new` returns the events since its last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self.has_more = False

    def new(self, max_bytes: int = -1) -> list[Event]:
        """Whole events since the last call; torn, foreign and unversioned lines are skipped.

        With ``max_bytes`` it reads about this many bytes; :attr:`has_more` says whether more are
        waiting.
        """
        try:
            with self._path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_size < self._offset or self._inode not in (None, status.st_ino):
                    self._offset = 0  # another file under the same name
                self._inode = status.st_ino
                stream.seek(self._offset)
                chunk = stream.read(max_bytes)
                if max_bytes > 0 and b"\n" not in chunk:
                    chunk += stream.readline()  # a line longer than that
        except OSError:  # not there yet, or no more
            self.has_more = False
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self.has_more = bool(whole) and 0 < max_bytes <= len(chunk)
        self._offset += len(whole)
        return list(_parse(whole))


def last_events(
    path: Path,
    tail_bytes: int = 16_384,
    *,
    holding: Callable[[Event], bool] = lambda _: True,
) -> list[Event]:
    """The events in about the last ``tail_bytes`` of the file, oldest first.

    It reads further back until one of them passes ``holding``.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - tail_bytes))
            chunk = stream.read(size)
    except OSError:
        return []
    found = list(_parse(chunk[: chunk.rfind(b"\n") + 1]))
    if size > tail_bytes and not any(map(holding, found)):
        return last_events(path, 8 * tail_bytes, holding=holding)
    return found


def epoch_metrics(path: Path) -> list[MetricEvent]:
    """The metrics of whole epochs, of all attempts; fast also for a long file."""
    found = _parse(_lines_with(path, b'"every": "epoch"'))
    return [event for event in found if event["kind"] == "metric"]


def warnings_of(path: Path) -> list[str]:
    """The warnings of all attempts, each once; fast also for a long file."""
    found = _parse(_lines_with(path, b'"level": "warning"'))
    return warning_texts(event for event in found if event["kind"] == "log")


def warning_texts(notices: Iterable[LogEvent]) -> list[str]:
    """The messages of those notices that are warnings, each once."""
    texts = (e["message"] for e in notices if e.get("level") == "warning" and "message" in e)
    return list(dict.fromkeys(texts))


def _lines_with(path: Path, part: bytes) -> bytes:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return b""
    return b"\n".join(line for line in lines if part in line)


def _parse(lines: bytes) -> Iterator[Event]:
    for line in lines.splitlines():
        try:
            value = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            continue
        if (event := parse_event(value)) is not None:
            yield event
