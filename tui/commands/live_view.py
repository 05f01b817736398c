"""Views of a run at work: live on a terminal, plain lines in a pipe, JSON lines.

A view receives events and shows them on stderr (JSON: on stdout). It knows no process.
"""

import json
import sys
import time
from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runs.events import Event
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.progress import _downloaded, bars, label, left_s, telling, waiting
from tui.render.text import clean, duration

FIRST_STEPS = 10
"""In a pipe the end of a training is foretold once, when so many are done."""


REDRAW_S = 0.5
"""The live view is redrawn at most twice a second: over SSH each redraw costs."""


class View(AbstractContextManager["View", None]):
    """What follows a run's events; entered before the first and left after the last."""

    def __exit__(self, *error: object) -> None:
        return None

    @abstractmethod
    def event(self, run: Run, event: Event) -> None:
        """One event of the run or of one of its children."""

    def refresh(self) -> None:
        """Called several times a second."""


def make_view(run: Run, *, as_json: bool) -> View:
    """JSON where it was asked for, live where stderr is a terminal, else plain lines."""
    if as_json:
        return JsonView()
    return LiveView(run) if sys.stderr.isatty() else PlainView()


class JsonView(View):
    """Each event as a line on stdout, with the run that it belongs to."""

    def event(self, run: Run, event: Event) -> None:
        print(json.dumps({**event, "run_id": run.id}, ensure_ascii=False), flush=True)


class PlainView(View):
    """One line an epoch, one an attack, no escapes."""

    def __init__(self) -> None:
        self._told: set[object] = set()

    def event(self, run: Run, event: Event) -> None:
        for line in self._lines(run, event):
            print(clean(line, 500), file=sys.stderr, flush=True)

    def _lines(self, run: Run, event: Event) -> list[str]:
        if line := telling(run, event):
            return [line]
        if event["kind"] == "progress" and event.get("task") == "download":
            tenth = 10 * event["done"] // max(event["total"], 1)
            return self._once((run.id, "download", tenth), f"download: {_downloaded(event)}")
        if event["kind"] == "progress" and event["done"] >= FIRST_STEPS:
            left = left_s(event)
            told = f"{label(run)}: ETA {duration(left)}"
            return [] if left is None else self._once((run.id, "eta"), told)
        return []

    def _once(self, key: object, line: str) -> list[str]:
        if key in self._told:
            return []
        self._told.add(key)
        return [line]


class LiveView(View):
    """Lines that stay above, bars that move below."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._snapshots: dict[str, tuple[Run, Snapshot]] = {}
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.update(Text(""))
        self._live.stop()

    def event(self, run: Run, event: Event) -> None:
        self._snapshots.setdefault(run.id, (run, Snapshot()))[1].apply(event)
        if line := telling(run, event):
            self._console.print(Text(clean(line, 500)))

    def refresh(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= REDRAW_S:
            self._drawn = now
            self._live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """The moving part: a line for the run at work and its bars."""
        rows: list[tuple[Text, ProgressBar, Text]] = []
        notes: list[Text] = []
        for run, snapshot in self._snapshots.values():
            if snapshot.ended is not None:
                continue
            for title, done, total, told in bars(run, snapshot):
                bar = ProgressBar(total=max(total, 1), completed=done, width=None)
                rows.append((Text(clean(title, 40)), bar, Text(clean(told, 60), style="dim")))
            if note := waiting(run, snapshot):
                notes.append(Text(clean(note), style="yellow"))
        grid = Table.grid(padding=(0, 1))
        words = max((t.cell_len for t, _, _ in rows), default=0)
        words += max((t.cell_len for _, _, t in rows), default=0)
        grid.add_column(no_wrap=True)
        grid.add_column(width=max(8, min(40, self._console.width - words - 4)))
        grid.add_column(no_wrap=True, justify="right")
        for row in rows:
            grid.add_row(*row)
        elapsed = duration(time.time() - self._run.created)
        head = Text(clean(f"{label(self._run)} {self._run.id}  {elapsed}"), style="bold")
        return Group(head, grid, *notes)
