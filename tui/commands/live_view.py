"""Views of a running run: live on a terminal, plain lines in a pipe, JSON lines.

A view receives events and prints them on stderr (JSON: on stdout). It knows no process.
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

from runs.event_types import Event
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.progress import bars, download_text, event_line, label, left_s, waiting
from tui.render.text import clean, duration

FIRST_STEPS = 10
"""In a pipe the ETA of a training is printed once, after this many steps."""

REDRAW_S = 0.5
"""Seconds between two redraws of the live view, at least: over SSH each redraw costs."""


class View(AbstractContextManager["View", None]):
    """A context manager, entered before a run's first event and left after its last."""

    def __exit__(self, *error: object) -> None:
        return None

    @abstractmethod
    def event(self, run: Run, event: Event) -> None:
        """Take one event of the run or of one of its children."""

    def refresh(self) -> None:
        """Redraw; called several times a second."""


def make_view(run: Run, *, as_json: bool) -> View:
    """The JSON view on request, the live view where stderr is a terminal, else plain lines."""
    if as_json:
        return JsonView()
    return LiveView(run) if sys.stderr.isatty() else PlainView()


class JsonView(View):
    """Each event as a line on stdout, with the run that it belongs to."""

    def event(self, run: Run, event: Event) -> None:
        print(json.dumps({**event, "run_id": run.id}, ensure_ascii=False), flush=True)


class PlainView(View):
    """A line for each epoch and each attack, without escape sequences."""

    def __init__(self) -> None:
        self._printed: set[object] = set()

    def event(self, run: Run, event: Event) -> None:
        for line in self._lines(run, event):
            print(clean(line, 500), file=sys.stderr, flush=True)

    def _lines(self, run: Run, event: Event) -> list[str]:
        if line := event_line(run, event):
            return [line]
        if event["kind"] == "progress" and event.get("task") == "download":
            tenth = 10 * event["done"] // max(event["total"], 1)
            return self._once((run.id, "download", tenth), f"download: {download_text(event)}")
        if event["kind"] == "progress" and event["done"] >= FIRST_STEPS:
            left = left_s(event)
            line = f"{label(run)}: ETA {duration(left)}"
            return [] if left is None else self._once((run.id, "eta"), line)
        return []

    def _once(self, key: object, line: str) -> list[str]:
        if key in self._printed:
            return []
        self._printed.add(key)
        return [line]


class LiveView(View):
    """Finished events as lines that stay, below them the bars of the current work."""

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
        if line := event_line(run, event):
            self._console.print(Text(clean(line, 500)))

    def refresh(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= REDRAW_S:
            self._drawn = now
            self._live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """The part that is redrawn: a line for the run, the bars of its work, and why it waits."""
        rows: list[tuple[Text, ProgressBar, Text]] = []
        notes: list[Text] = []
        for run, snapshot in self._snapshots.values():
            if snapshot.ended is not None:
                continue
            for work in bars(run, snapshot):
                bar = ProgressBar(total=max(work.total, 1), completed=work.done, width=None)
                text = Text(clean(work.text, 60), style="dim")
                rows.append((Text(clean(work.title, 40)), bar, text))
            if note := waiting(run, snapshot):
                notes.append(Text(clean(note), style="yellow"))
        grid = Table.grid(padding=(0, 1))
        words = max((title.cell_len for title, _, _ in rows), default=0)
        words += max((text.cell_len for _, _, text in rows), default=0)
        grid.add_column(no_wrap=True)
        grid.add_column(width=max(8, min(40, self._console.width - words - 4)))
        grid.add_column(no_wrap=True, justify="right")
        for row in rows:
            grid.add_row(*row)
        elapsed = duration(time.time() - self._run.created)
        head = Text(clean(f"{label(self._run)} {self._run.id}  {elapsed}"), style="bold")
        return Group(head, grid, *notes)
