"""The last lines of a worker's own output."""

import os

from runs.store import Run
from tui.text import clean


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
