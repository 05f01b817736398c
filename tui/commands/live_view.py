"""Views of a running run: live on a terminal, plain lines in a pipe, JSON lines.

A view receives events and prints them on stderr (JSON: on stdout). It knows no process.
"""

import sys
import time
from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.text import Text

from runs.event_types import Event
from runs.live_table import LiveTable
from runs.remaining import left_s
from runs.result_types import Table
from runs.snapshot import Snapshot
from runs.store import Run
from tui.commands.live_region import LiveRegion
from tui.commands.plain_output import print_json
from tui.render.lines import Line, Lines, wrapped
from tui.render.live_lines import live_lines, without_time
from tui.render.palette import TERMINAL
from tui.render.progress import bytes_text, event_line, is_of_bytes, label
from tui.render.text import clean, duration

FIRST_STEPS = 10
"""In a pipe the ETA of a training is printed once, after this many steps."""
FIRST_SHARE = 0.1
"""In a pipe the ETA of an attack run is printed once, after this share of its first attack."""

REDRAW_S = 0.5
"""Seconds between two redraws of the live view, at least: over SSH each redraw costs."""
IDLE_REDRAW_S = 5.0
"""Seconds between two redraws while nothing changes but the time."""


class View(AbstractContextManager["View", None]):
    """A context manager, entered before a run's first event and left after its last."""

    def __exit__(self, *error: object) -> None:
        return None

    @abstractmethod
    def event(self, run: Run, event: Event) -> None:
        """Take one event of the run or of one of its children."""

    def refresh(self) -> None:
        """Redraw; called several times a second."""

    def note(self, run: Run, text: str) -> None:
        """Take what no event says: a run's place in Slurm's queue."""


def make_view(run: Run, *, as_json: bool) -> View:
    """The JSON view on request, the live view where stderr is a terminal, else plain lines."""
    if as_json:
        return JsonView()
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    can_redraw = sys.stderr.isatty() and not console.is_dumb_terminal
    return LiveView(run, console) if can_redraw else PlainView(run)


class JsonView(View):
    """Each event as a line on stdout, with the run that it belongs to."""

    def event(self, run: Run, event: Event) -> None:
        print_json({**event, "run_id": run.id}, indent=None)


class PlainView(View):
    """A line for each epoch and each attack, without escape sequences."""

    def __init__(self, run: Run | None = None) -> None:
        self._run = run
        self._snapshots: dict[str, Snapshot] = {}
        self._printed: set[object] = set()

    def event(self, run: Run, event: Event) -> None:
        self._snapshots.setdefault(run.id, Snapshot()).apply(event)
        for line in self._lines(run, event):
            print(clean(line, 500), file=sys.stderr, flush=True)

    def note(self, run: Run, text: str) -> None:
        print(clean(f"{label(run)}: {text}", 500), file=sys.stderr, flush=True)

    def _lines(self, run: Run, event: Event) -> list[str]:
        if line := event_line(run, event):
            return [line]
        if event["kind"] == "progress" and is_of_bytes(event):
            tenth, task = 10 * event["done"] // max(event["total"], 1), clean(event["task"], 20)
            return self._once((run.id, task, tenth), f"{task}: {bytes_text(event)}")
        if event["kind"] == "progress" and event["task"] == "train":
            return self._etas(run) if event["done"] >= FIRST_STEPS else []
        if event["kind"] == "attack" and event["done"] >= FIRST_SHARE * event["total"]:
            return self._etas(run)
        return []

    def _etas(self, run: Run) -> list[str]:
        """Once for each run its ETA, and of a study's child then also the study's."""
        whole = self._run if self._run is not None and self._run.id != run.id else None
        lines = []
        for member in filter(None, (run, whole)):
            snapshot = self._snapshots.get(member.id, Snapshot())
            left = left_s(member.raw_spec, snapshot, self._snapshots)
            if left is not None:
                line = f"{label(member)}: ETA {duration(left)}"
                lines += self._once((run.id, member.id, "eta"), line)
        return lines

    def _once(self, key: object, line: str) -> list[str]:
        if key in self._printed:
            return []
        self._printed.add(key)
        return [line]


class LiveView(View):
    """Finished events as lines that stay, below them the run at work.

    Args:
        run: the run that is followed.
        console: where it is shown.
    """

    def __init__(self, run: Run, console: Console) -> None:
        self._run, self._console = run, console
        self._members: dict[str, tuple[Run, Snapshot]] = {}
        self._live_table = LiveTable()
        self._region = LiveRegion(console)
        self._looked_at = -REDRAW_S
        self._drawn: tuple[float, object] = (-IDLE_REDRAW_S, None)

    def __enter__(self) -> Self:
        self._region.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._region.__exit__(*error)

    def event(self, run: Run, event: Event) -> None:
        self._members.setdefault(run.id, (run, Snapshot()))[1].apply(event)
        width = self._console.width
        if line := event_line(run, event, width):
            text = Text(clean(line, 500))
            lines = [text] if text.cell_len <= width else wrapped(text, width, indent=2)
            self._console.print(Lines(lines), end="")

    def refresh(self) -> None:
        """Redraw what has changed; while only time goes by, seldom."""
        now = time.monotonic()
        if now - self._looked_at < REDRAW_S:
            return
        self._looked_at = now
        drawn_at, drawn = self._drawn
        lines = self.lines()
        shown = (self._console.size, without_time(lines))
        if shown != drawn or now - drawn_at >= IDLE_REDRAW_S:
            self._drawn = (now, shown)
            apart = [Text()] if len(lines) < self._height else []
            self._region.draw([*apart, *lines])

    @property
    def _height(self) -> int:
        """Of the part that is redrawn, at most: the terminal keeps a line above it."""
        return max(self._console.size.height - 1, 1)

    def lines(self) -> list[Line]:
        """The part that is redrawn."""
        size = (self._console.size.width, self._height)
        return live_lines(self._run, self._members, self._table(), size, time.time(), TERMINAL)

    def _table(self) -> Table | None:
        """The table as far as it has come, of a study from its start."""
        attacks = [member for member in self._members.values() if member[0].kind == "attack"]
        run, snapshot = attacks[-1] if attacks else (self._run, Snapshot())
        return self._live_table.of(run, snapshot)
