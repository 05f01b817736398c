"""``events.jsonl``: what happens in a run, one JSON object per line.

One writer appends each line with one ``os.write`` under ``O_APPEND``, so that readers see whole
lines even if the writer is killed. A line that a full disk cuts short is ended before the next, so
that it spoils no other event. Readers keep a byte offset and hold back an unfinished last
line. Life-cycle events are flushed to the disk; the system writes the others when it likes.
"""

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
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
    CorruptionEvent,
    CorruptionFields,
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
from runs.regular_files import open_regular, open_regular_fd
from runs.storage import write_whole, writing

DURABLE = frozenset({"started", "checkpoint", "child", "ended"})
"""Kinds that are flushed to the disk."""
SLICE_BYTES = 256 * 1024
"""What is read at once of a long file."""
_IDLE = frozenset({"heartbeat", "system", "log"})
"""Kinds that are no progress of the work."""


class EventWriter:
    """The one writer of a run's ``events.jsonl``; safe to share among threads.

    Raises:
        StorageError: the file can't be written; so does :meth:`write`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._fd = open_regular_fd(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()
        self._is_torn = self._ends_torn()
        self.last_progress = time.time()

    def _ends_torn(self) -> bool:
        """Whether the file ends within a line."""
        size = os.fstat(self._fd).st_size
        return size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def _append(self, line: bytes) -> None:
        try:
            write_whole(self._fd, b"\n" + line if self._is_torn else line)
        except OSError:
            self._is_torn = self._ends_torn()
            raise
        self._is_torn = False

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
        self, kind: Literal["corruption"], **fields: Unpack[CorruptionFields]
    ) -> CorruptionEvent: ...
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
        with self._lock, writing(self._path, len(line)):
            self._append(line)
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
        try:
            with writing(self._path):
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


class Unwritten(EventWriter):
    """Events that nobody writes: those of a process that is not the run's writer."""

    def __init__(self) -> None:
        self.last_progress = time.time()

    def write(self, kind: str, **fields: Any) -> Any:
        """The event."""
        return {"v": VERSION, "t": time.time(), "kind": kind, **fields}

    def is_in_place(self) -> bool:
        """True: there is no file that could be taken away."""
        return True

    def close(self) -> None:
        """Nothing is open."""


class EventReader:
    """Reads a growing ``events.jsonl``: :meth:`new` returns the events since its last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self.has_more = False

    def all_new(self) -> Iterator[Event]:
        """The same as :meth:`new`, read in slices: for files of any length."""
        while True:
            yield from self.new(SLICE_BYTES)
            if not self.has_more:
                return

    def new(self, max_bytes: int = -1) -> list[Event]:
        """Whole events since the last call; torn, foreign and unversioned lines are skipped.

        With ``max_bytes`` it reads about this many bytes; :attr:`has_more` says whether more are
        waiting.
        """
        try:
            with open_regular(self._path) as stream:
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


def last_events(path: Path, tail_bytes: int = 16_384) -> list[Event]:
    """The events in about the last ``tail_bytes`` of the file, oldest first.

    It reads further back until it finds one.
    """
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - tail_bytes))
            chunk = stream.read()
    except OSError:
        return []
    found = list(_parse(chunk[: chunk.rfind(b"\n") + 1]))
    if size > tail_bytes and not found:
        return last_events(path, 8 * tail_bytes)
    return found


def slices(path: Path, size: int = SLICE_BYTES) -> Iterator[bytes]:
    """A file in slices of about ``size`` bytes, each of whole lines; none where it can't be read.

    An unfinished last line is left out.
    """
    rest = b""
    with contextlib.suppress(OSError), open_regular(path) as stream:
        while chunk := stream.read(size):
            whole, end, begun = chunk.rpartition(b"\n")
            if end:
                yield rest + whole + end
                rest = begun
            else:  # a line longer than a slice
                rest += chunk


def events_like(path: Path, pattern: re.Pattern[bytes]) -> Iterator[Event]:
    """The events whose lines match, in order; fast also for a long file: it parses no other."""
    for chunk in slices(path):
        end = 0
        for match in pattern.finditer(chunk):
            if match.start() >= end:  # else a second match in one line
                begin, end = (
                    chunk.rfind(b"\n", 0, match.start()) + 1,
                    chunk.find(b"\n", match.end()),
                )
                yield from _parse(chunk[begin:end])


def last_event_like(path: Path, mark: bytes) -> Event | None:
    """The last event whose line holds ``mark``; it reads back from the end, in slices."""
    with contextlib.suppress(OSError), open_regular(path) as stream:
        end = os.fstat(stream.fileno()).st_size
        rest = b""  # of a line that begins before ``end``
        while end > 0:
            begin = max(0, end - SLICE_BYTES)
            stream.seek(begin)
            chunk = stream.read(end - begin) + rest
            first = chunk.find(b"\n") + 1 if begin else 0
            if first or not begin:
                for event in _last_marked(chunk[first:], mark):
                    return event
                chunk = chunk[:first]
            rest, end = chunk, begin
    return None


def _last_marked(lines: bytes, mark: bytes) -> Iterator[Event]:
    """The events whose whole lines hold ``mark``, the last first."""
    place = lines.rfind(mark)
    while place >= 0:
        begin, end = lines.rfind(b"\n", 0, place) + 1, lines.find(b"\n", place)
        if end >= 0:
            yield from _parse(lines[begin:end])
        place = lines.rfind(mark, 0, begin)


def last_event(path: Path) -> Event | None:
    """The last event of a file; of :func:`last_events` it parses only this one."""
    return last_event_like(path, b'"kind"')


def last_attempt(path: Path) -> int:
    """The number of the last attempt; 0 where there is none."""
    attempts = [0]
    for mark in (b'"kind": "started"', b'"kind": "heartbeat"'):
        event = last_event_like(path, mark)
        if event is not None and event["kind"] in ("started", "heartbeat"):
            attempts.append(event.get("attempt", 0))
    return max(attempts)


OF_EPOCH = b'"every": "epoch"'
"""Marks the line of the metrics of a whole epoch."""
_WARNING = re.compile(rb'"level": ?"warning"')


def warnings_of(path: Path) -> list[str]:
    """The warnings of all attempts, each once."""
    found = events_like(path, _WARNING)
    return warning_texts(event for event in found if event["kind"] == "log")


def warning_texts(notices: Iterable[LogEvent]) -> list[str]:
    """The messages of those notices that are warnings, each once."""
    texts = (e["message"] for e in notices if e.get("level") == "warning" and "message" in e)
    return list(dict.fromkeys(texts))


def _parse(lines: bytes) -> Iterator[Event]:
    for line in lines.splitlines():
        if (event := event_of(line)) is not None:
            yield event


def event_of(line: bytes) -> Event | None:
    """The event in a line; None where it is none."""
    try:
        return parse_event(json.loads(line, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return None
