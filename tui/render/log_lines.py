"""A run's notices, and the last lines of its worker's log."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from runs.event_types import LogEvent
from runs.regular_files import open_regular
from runs.store import Run
from tui.render.text import clean


def notice_lines(notices: Iterable[LogEvent]) -> list[str]:
    """``11-22 18:40:05  out of memory: …`` for each ``log`` event; harmless for a terminal.

    Times are in UTC, as in the ids of runs.
    """
    return [clean(f"{_clock(notice['t'])}  {notice.get('message')}", 500) for notice in notices]


def _clock(t: float) -> str:
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a foreign file may hold any number
        return "?"


def log_tail(run: Run, lines: int) -> list[str]:
    """The last lines of the worker's log, harmless for a terminal."""
    try:
        with open_regular(run.log_path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 500 * lines))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [clean(line, 500) for line in text.split("\n") if line.strip()][-lines:]


# The head of a Python warning, whose category Lightning leaves out, in a library's file.
_DEPRECATION = re.compile(
    r"^\S.*(?:site-packages|dist-packages|/lib/python3[.\d]*)[/\\]\S+:\d+: "
    r".*(?:deprecat|FutureWarning|will be removed)",
    re.IGNORECASE,
)


def without_deprecations(lines: Iterable[str]) -> tuple[list[str], int]:
    """The lines of a log without the deprecation notes of libraries, and how many notes these are.

    A note's own second line, the code that it warns of, goes with it.
    """
    kept: list[str] = []
    notes = 0
    is_after_note = False
    for line in lines:
        if _DEPRECATION.match(line):
            notes += 1
            is_after_note = "Warning: " in line
        elif is_after_note and line.startswith("  "):
            is_after_note = False
        else:
            kept.append(line)
            is_after_note = False
    return kept, notes
