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
from runs.remaining import left_s
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.progress import bars, download_text, event_line, fitted, label, waiting
from tui.render.text import clean, duration, keeping_eps, time_words

FIRST_STEPS = 10
"""In a pipe the ETA of a training is printed once, after this many steps."""
FIRST_SHARE = 0.1
"""In a pipe the ETA of an attack run is printed once, after this share of its first attack."""

LEAST_BAR = 8
"""Cells of the shortest bar."""
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
    return LiveView(run) if sys.stderr.isatty() else PlainView(run)


class JsonView(View):
    """Each event as a line on stdout, with the run that it belongs to."""

    def event(self, run: Run, event: Event) -> None:
        print(json.dumps({**event, "run_id": run.id}, ensure_ascii=False), flush=True)


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

    def _lines(self, run: Run, event: Event) -> list[str]:
        if line := event_line(run, event):
            return [line]
        if event["kind"] == "progress" and event.get("task") == "download":
            tenth = 10 * event["done"] // max(event["total"], 1)
            return self._once((run.id, "download", tenth), f"download: {download_text(event)}")
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
                title = Text(keeping_eps(work.title, 40))
                room = self._console.width - title.cell_len - LEAST_BAR - 4
                rows.append((title, bar, Text(clean(fitted(work.text, room), 60), style="dim")))
            if note := waiting(run, snapshot):
                notes.append(Text(clean(note), style="yellow"))
        grid = Table.grid(padding=(0, 1))
        words = max((title.cell_len for title, _, _ in rows), default=0)
        words += max((text.cell_len for _, _, text in rows), default=0)
        grid.add_column(no_wrap=True)
        grid.add_column(width=max(LEAST_BAR, min(40, self._console.width - words - 4)))
        grid.add_column(no_wrap=True, justify="right")
        for row in rows:
            grid.add_row(*row)
        return Group(self._head(), grid, *notes)

    def _head(self) -> Text:
        """The run, how long it has worked, and of a study or an attack run how long it will."""
        run = self._run
        snapshots = {run_id: snapshot for run_id, (_, snapshot) in self._snapshots.items()}
        snapshot = snapshots.get(run.id, Snapshot())
        worked, waited = snapshot.timeline.durations(time.time())
        words = f"{label(run)} {run.id}  {time_words(worked or None, waited, is_live=True)}"
        if run.kind != "train" and snapshot.started is not None:  # a training's bar has its ETA
            words += f"  ETA {duration(left_s(run.raw_spec, snapshot, snapshots))}"
        return Text(clean(words), style="bold")
