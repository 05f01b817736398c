"""What the headless commands show of a run at work, as lines that fit a width and a height.

From above: the run, the parts of a study, the bars of the work at hand, the validation so far, the
table as far as it has come. Where height is short the last of these go first. Knows no terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from rich.cells import cell_len
from rich.segment import Segment
from rich.text import Text

from runs.event_types import MetricEvent
from runs.footnotes import same_notes
from runs.formats import column_heads
from runs.remaining import left_s
from runs.result_types import Table
from runs.snapshot import Snapshot
from runs.store import Run
from tui.render.bars import attack_bar, bar, legend
from tui.render.comparison_table import table_rates
from tui.render.lines import Line, lines_of
from tui.render.palette import Palette
from tui.render.progress import Work, bars, eta_text, fitted, label, waiting
from tui.render.rate_table import low_rate_tables
from tui.render.sparkline import sparkline
from tui.render.study_strip import study_strip
from tui.render.text import clean, keeping_eps, percent, time_words

LEAST_BAR, MOST_BAR = 8, 100
"""Cells of the shortest and of the longest bar."""
MOST_TITLE = 40
"""Cells of a bar's title; a longer one is cut before its ε."""
CURVES = (("val clean", "val_accuracy"), ("val robust", "val_robust_accuracy"))
"""The sparklines of a training: their titles, and their values in the metrics of an epoch."""

Members = Mapping[str, tuple[Run, Snapshot]]
"""A run and its children with their snapshots, by their ids."""


def live_lines(
    run: Run,
    members: Members,
    table: Table | None,
    size: tuple[int, int],
    now: float,
    palette: Palette,
) -> list[Line]:
    """The lines of a run at work.

    Args:
        run: the run that is followed.
        members: the run and its children so far.
        table: of its attacks as far as they have come (:mod:`runs.live_table`), if it has any.
        size: width and height in cells, which the lines do not exceed.
        now: unix seconds.
        palette: the styles.
    """
    width, height = size
    lines: list[Line] = []
    lines += islice(_head(run, members, width, now, palette), height)
    lines += _work(members, width, height - len(lines), palette)
    if len(curves := _curves(members, width, palette)) <= height - len(lines):
        lines += curves
    room = (width, height - len(lines) - 1)
    if table is not None and (shown := _table(table, room, palette)):
        lines += [Text(), *shown]
    return lines


def without_time(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines without the head, whose figures change by themselves as time goes by."""
    return lines[1:]


# The run


def _head(run: Run, members: Members, width: int, now: float, palette: Palette) -> Iterator[Text]:
    """The run and how long it has worked; of a study its parts, of an attack run the ETA."""
    snapshots = {run_id: snapshot for run_id, (_, snapshot) in members.items()}
    snapshot = snapshots.get(run.id, Snapshot())
    worked, waited = snapshot.timeline.durations(now)
    words = [time_words(worked or None, waited, is_live=True)]
    if waited >= 1 and worked:
        words.append(time_words(worked, None, is_live=True))
    eta = ""
    if run.kind == "attack" and snapshot.started is not None:
        eta = eta_text(run, left_s(run.raw_spec, snapshot, snapshots))
    named = Text.assemble((clean(f"{label(run)} {run.id}"), palette.title))
    named.truncate(max(width - cell_len(eta) - 2, 8) if eta else width, overflow="ellipsis")
    for told in (*words, ""):
        parts = [f"  {part}" for part in (told, eta) if part]
        if named.cell_len + cell_len("".join(parts)) <= width:
            named.append("".join(parts), palette.dim)
            break
    yield named
    if run.kind == "study":
        yield study_strip(run.raw_spec, snapshot, snapshots, width, palette)


# The work at hand


def _work(members: Members, width: int, height: int, palette: Palette) -> list[Line]:
    """The bars of all runs at work, and why a run waits."""
    works: list[Work] = []
    notes: list[Line] = []
    for run, snapshot in members.values():
        if snapshot.ended is not None:
            continue
        works += bars(run, snapshot)
        if note := waiting(run, snapshot):
            notes.append(Text(clean(note, width), palette.warn))
    room = max(height - len(notes), 0)
    shown = works if len(works) <= room else works[: max(room - 1, 0)]
    lines = _bars(shown, width, palette)
    if len(shown) < len(works) and room:
        lines.append(Text(f"… and {len(works) - len(shown)} more at work", palette.dim))
    if any(work.successes is not None for work in shown) and len(lines) + len(notes) < height:
        lines.append(Text.assemble(*legend(palette)))
    return [*lines, *notes][:height]


def _bars(works: Sequence[Work], width: int, palette: Palette) -> list[Line]:
    """Title, bar and text of each, below each other."""
    words = max((cell_len(fitted(work.text, 0)) for work in works), default=0)
    room = max(width - words - LEAST_BAR - 2, 8)
    titles = [keeping_eps(work.title, min(MOST_TITLE, room)) for work in works]
    title = max(map(cell_len, titles), default=0)
    texts = [fitted(work.text, width - title - LEAST_BAR - 2) for work in works]
    text = max(map(cell_len, texts), default=0)
    cells = min(max(width - title - text - 2, LEAST_BAR), MOST_BAR)
    lines: list[Line] = []
    for work, name, told in zip(works, titles, texts, strict=True):
        if work.successes is None:
            tones = bar(work.done / max(work.total, 1), cells, palette)
        else:
            tones = attack_bar(work.done, work.total, work.successes, cells, palette)
        line = Text.assemble((f"{name}{' ' * (title - cell_len(name))} ", palette.text), *tones)
        line.append(f" {' ' * (text - cell_len(told))}{clean(told)}", palette.dim)
        line.truncate(width)
        lines.append(line)
    return lines


# The validation so far


def _curves(members: Members, width: int, palette: Palette) -> list[Line]:
    """Sparklines of the training at work; none before its second epoch."""
    at_work = [
        snapshot
        for run, snapshot in members.values()
        if run.kind == "train" and snapshot.ended is None
    ]
    if not at_work or len(at_work[-1].epochs) < 2:
        return []
    epochs = at_work[-1].epochs
    around = 11 + 10  # the title, and the last value
    is_wide = width >= 2 * (around + min(len(epochs), 20)) + 3
    room = (width - 3) // 2 - around if is_wide else width - around
    curves = [
        _curve(title, key, colour, epochs[-max(room, 1) :], palette)
        for colour, (title, key) in enumerate(CURVES, start=1)
    ]
    known = [curve for curve in curves if curve]
    return [Text("   ").join(known)] if known and is_wide else [*known]


def _curve(
    title: str, key: str, colour: int, epochs: Sequence[MetricEvent], palette: Palette
) -> Text:
    """``val robust  ▂▃▅▆▇  28.1 %``; empty where no epoch has a value."""
    values = [event["values"].get(key) for event in epochs]
    line = sparkline(values, len(values))
    if not line:
        return Text()
    last = next(value for value in reversed(values) if value is not None)
    return Text.assemble(
        (f"{title:<11}", palette.dim),
        (line, palette.series_style(colour)),
        (f" {percent(last):>5} %", palette.text),
    )


# The table


def _table(table: Table, size: tuple[int, int], palette: Palette) -> list[Line]:
    """The table in the roomiest form that fits, with its most important notes; else none."""
    width, height = size
    if not any(row["accuracy"] is not None for row in table["rows"]):
        # A table of nothing but figures to come is not worth a line for each of them.
        height = min(height, 3 + 2 * len(table["rows"]))
    if height < len(table["rows"]) + 2:
        return []
    for form in low_rate_tables(table_rates(table), column_heads(table), palette):
        lines = lines_of(form, 10_000)
        widest = max(Segment.get_line_length(line) for line in lines)
        if widest <= width and len(lines) <= height:
            notes = [Text(clean(note, width), palette.dim) for note in same_notes(table)]
            return [*lines, *notes] if len(lines) + len(notes) <= height else [*lines]
    return []
