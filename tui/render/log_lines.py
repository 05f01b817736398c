"""What a run has told, and the last lines of its worker's own output."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime

from runs.events import Event
from runs.store import Run
from tui.render.text import clean


def notice_lines(notices: Iterable[Event]) -> list[str]:
    """``11-22 18:40:05  out of memory: …``, for each ``log`` event, in UTC as the ids of runs are;
    harmless for a terminal."""
    return [clean(f"{_clock(one['t'])}  {one.get('message')}", 500) for one in notices]


def _clock(t: float) -> str:
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # what somebody else wrote
        return "?"


def log_tail(run: Run, lines: int) -> list[str]:
    """The last lines of the worker's log, harmless for a terminal."""
    try:
        with run.log_path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 500 * lines))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [clean(line, 500) for line in text.split("\n") if line.strip()][-lines:]
