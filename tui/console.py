"""The headless views of a run at work: live on a terminal, plain lines in a pipe, JSON.

A view is fed events and shows them on stderr (JSON: stdout). It knows nothing of processes.
"""

import json
import sys
import time
from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from runs.errors import UserError
from runs.events import Event
from runs.snapshot import Snapshot
from runs.store import Run
from tui.eps_charts import chart_lines, eps_charts
from tui.palette import TERMINAL
from tui.tables import comparison, kept_checkpoints, sanity
from tui.text import clean, duration, megabytes, percent

CHART_WIDTH, PIPE_CHART_WIDTH = 120, 80
"""Cells of a chart: at most, on a terminal; and in a pipe."""
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


def print_result(run: Run, result: dict[str, Any], *, as_json: bool) -> None:
    """What came of a run, on stdout: the comparison table, or a training's checkpoints."""
    if as_json:
        print(json.dumps({"run": run.id, **result}, ensure_ascii=False), flush=True)
        return
    console = stdout_console()
    if "rows" in result:
        print_comparison(console, result)
        console.print(sanity(result.get("sanity", [])))
    elif result.get("checkpoints"):
        console.print(kept_checkpoints(result))


def print_comparison(console: Console, data: dict[str, Any]) -> None:
    """The comparison table with its footnotes; beneath, where there are several ε, its charts."""
    console.print(comparison(data))
    width = min(console.width, CHART_WIDTH) if console.is_terminal else PIPE_CHART_WIDTH
    for chart in eps_charts(data):
        for line in (*chart_lines(chart, width, TERMINAL), []):
            console.print(Segments([*line, Segment.line()]), end="")


def stdout_console() -> Console:
    """Styled on a terminal; in a pipe plain text, wide enough not to be cut."""
    wide = None if sys.stdout.isatty() else 140
    return Console(width=wide, markup=False, highlight=False, emoji=False)


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


def label(run: Run) -> str:
    """What the run is called in a line: its mode, else its kind."""
    return run.role or run.mode or run.kind


def telling(run: Run, event: Event) -> str | None:
    """The line for an event that is worth one for ever; None for the others."""
    match event["kind"]:
        case "started" if "device" in event:
            resumed = event.get("resumed_from")
            on_cpu = event["device"] == "cpu"
            how = f"{event['threads']} threads" if on_cpu else event["device_name"]
            return f"{label(run)}: {run.id} on {event['device']}, {event['precision']}, {how}" + (
                f", from epoch {resumed['epoch'] + 1}" if resumed else ""
            )
        case "metric" if event.get("every") == "epoch":
            return epoch_line(run, event)
        case "attack" if "cell" in event:
            rate = event["successes"] / event["total"] if event["total"] else None
            return (
                f"{event['model']}: {event['attack']} succeeded on {event['successes']} of "
                f"{event['total']} images ({percent(rate)} %)"
            )
        case "log":
            return f"{label(run)}: {event.get('message')}"
    return None


def epoch_line(run: Run, event: Event) -> str:
    """``robust  epoch 3/9  loss 3.4124  clean  31.2 %  robust  17.0 %  3 m 45 s``: 80 columns."""
    values = event["values"]
    epochs = run.raw_spec.get("epochs", "?")
    return (
        f"{label(run)}  epoch {event['epoch'] + 1:>{len(str(epochs))}}/{epochs}"
        f"  loss {_number(values.get('train_loss'))}"
        f"  clean {percent(values.get('val_accuracy')):>5} %"
        f"  robust {percent(values.get('val_robust_accuracy')):>5} %"
        f"  {duration(values.get('seconds'))}"
    )


def _downloaded(progress: Event) -> str:
    return f"{megabytes(progress['done'])} of {megabytes(progress['total'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


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


def bars(run: Run, snapshot: Snapshot) -> list[tuple[str, float, float, str]]:
    """Title, done, total and what stands beside it, for each bar of a run at work."""
    found: list[tuple[str, float, float, str]] = []
    progress = snapshot.progress
    if progress and progress["task"] == "download":
        found.append(("download", progress["done"], progress["total"], _downloaded(progress)))
    elif progress and isinstance(progress.get("epoch"), int):
        epochs = int(progress.get("epochs") or 1)
        share = progress["done"] / max(progress["total"], 1)
        training = progress["task"] == "train"
        whole = progress["epoch"] + (share if training else 1)
        found.append(
            (
                f"{label(run)} epoch {progress['epoch'] + 1}/{epochs}",
                whole,
                epochs,
                f"ETA {duration(left_s(progress))}",
            )
        )
        rate = progress.get("rate")
        speed = f"{rate:.1f} batches/s" if rate else ""
        found.append((f"  {progress['task']}", progress["done"], progress["total"], speed))
    for (model, attack), event in snapshot.attacks.items():
        # Of those still under attack nobody knows: no share is told before the end.
        told = f"{event['successes']:,} of {event['total']:,}  {event['rate']:.0f} img/s"
        if "cell" not in event:
            told += f"  ETA {duration(left_s(event))}"
        found.append((f"{model} {attack}", event["done"], event["total"], told))
    if progress and progress["task"] in ("reading", "sanity"):
        told = f"{progress['done']:,} of {progress['total']:,} {progress.get('unit') or ''}"
        found.append((progress["task"], progress["done"], progress["total"], told))
    return found


def left_s(event: Event) -> float | None:
    """Seconds to the end of a training, as the worker reckons in its ``progress`` events; to that
    of one attack, by its speed so far."""
    left = event.get("eta_s")
    if event["kind"] == "attack":
        to_do, rate = event["total"] - event["done"], event["rate"]
        left = to_do / rate if rate > 0 else None
    return left if isinstance(left, int | float) and 0 <= left < 1e9 else None


def trains_on(run: Run) -> str | None:
    """What the adversarial images of a training, or of a study's, are made with."""
    from runs.spec import AttackSpec, StudySpec  # pydantic: not for every list of runs

    try:
        spec = run.spec
    except UserError:
        return None
    if isinstance(spec, AttackSpec):
        return None
    return (spec.robust if isinstance(spec, StudySpec) else spec).crafting


def waiting(run: Run, snapshot: Snapshot) -> str | None:
    """Why nothing moves, where nothing does."""
    beat = snapshot.heartbeat
    if not beat or snapshot.ended:
        return None
    if beat.get("phase") == "queued" and snapshot.started is None and run.kind != "study":
        return f"{label(run)}: starting, or waiting for the device"
    if beat.get("stalled_s", 0) > 60 and run.kind != "study":
        return f"{label(run)}: no progress for {duration(beat['stalled_s'])}"
    return None
