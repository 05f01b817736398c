"""A chart as lines of styled text: title and legend, braille curves, axes, marks, a crosshair.

Pure: takes a :class:`Plot` and a size in cells, returns segments. Knows no widget and no file.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tui.charts.braille import Curve, View, cells, draw, log_ticks, tick_label, ticks
from tui.charts.training_curves import Series
from tui.render.palette import Palette

GUTTER = 8
"""Cells left of the curves, for the labels of the y axis."""
MARKER_EVERY = 14
"""About so many cells lie between two markers of a line."""
BEST_MARKS = {"best clean": "▽", "best robust": "▼"}

Cells = list[list[Segment]]


@dataclass(frozen=True)
class Plot:
    """What a chart shows, and how it shows it."""

    title: str
    series: Sequence[Series] = ()
    x_label: str = "epoch"
    log: bool = False
    bounds: tuple[float, float] | None = None
    """Limits of the y axis: with (0, 100) it never extends beyond percentages."""
    y_range: tuple[float, float] | None = None
    """Fixed range of the y axis; None: from the values."""
    measured: Mapping[float, str] = field(default_factory=dict)
    """x of each measured point, with its label: it gets a tick and a marker. For few points."""
    legend: bool = True
    """Whether the title line lists the series and their values."""
    window: tuple[float, float] | None = None
    """Range of x that is drawn; None: the whole range."""
    cursor: float | None = None
    """x of the crosshair."""
    marks: dict[str, float] = field(default_factory=dict)
    """x of the checkpoints, by the names of :data:`BEST_MARKS`."""
    is_current: bool = False
    note: str = ""
    empty: str = "no values yet"


def x_range(series: Sequence[Series]) -> tuple[float, float]:
    """From the first x of any line to the last."""
    firsts = [line.curve.xs[0] for line in series if line.curve.xs]
    lasts = [line.curve.xs[-1] for line in series if line.curve.xs]
    return (min(firsts), max(lasts)) if firsts else (0.0, 1.0)


def nearest(curve: Curve, x: float) -> int | None:
    """Index of the point nearest to ``x``; None where there is no point."""
    if not curve.xs:
        return None
    after = min(bisect_left(curve.xs, x), len(curve.xs) - 1)
    before = max(after - 1, 0)
    return before if abs(curve.xs[before] - x) <= abs(curve.xs[after] - x) else after


def render_plot(plot: Plot, width: int, height: int, palette: Palette) -> Cells:
    """The chart in ``height`` lines of ``width`` cells."""
    if height < 5 or width < GUTTER + 12:
        return [[Segment(plot.title[:width])]][:height]
    head = _head(plot, width, palette)
    curves = [_on_axis(line.curve, plot.log) for line in plot.series]
    if not any(curve.xs for curve in curves):
        note = "nothing above 0 to show on a log axis" if plot.series and plot.log else plot.empty
        return [head, *_centred(note, width, height - 1, palette)]
    view = _view(plot, curves, width - GUTTER, height - 3)
    body = _body(plot, curves, view, palette)
    return [head, *body, *_x_axis(plot, view, palette)]


def _on_axis(curve: Curve, log: bool) -> Curve:
    if not log:
        return curve
    points: list[tuple[float, float | None]] = []
    for n, (x, y) in enumerate(zip(curve.xs, curve.ys, strict=True)):
        if n in curve.gaps:
            points.append((x, None))
        points.append((x, math.log10(y) if y > 0 else None))
    return Curve.of(points)


def _view(plot: Plot, curves: Sequence[Curve], width: int, height: int) -> View:
    x0, x1 = plot.window or x_range(plot.series)
    if x0 == x1:
        x0, x1 = x0 - 0.5, x1 + 0.5
    lows, highs = [], []
    for curve in curves:
        begin = bisect_left(curve.xs, x0)
        visible = curve.ys[begin : bisect_left(curve.xs, x1) + 1]
        if visible:
            lows.append(min(visible))
            highs.append(max(visible))
    low, high = (min(lows), max(highs)) if lows else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    y0, y1 = low - margin, high + margin
    if not plot.log and low >= 0 > y0:
        y0 = 0.0
    if plot.bounds and not plot.log:
        y0, y1 = max(y0, plot.bounds[0]), min(y1, plot.bounds[1])
        if y1 <= y0:
            y0, y1 = plot.bounds
    if plot.y_range:
        y0, y1 = plot.y_range
    return View(x0, x1, y0, y1, width, height)


def _head(plot: Plot, width: int, palette: Palette) -> list[Segment]:
    """``▸ loss   ● train 0.312   ■ val 0.402``: the values at the crosshair, else the last."""
    pointer = "▸ " if plot.is_current else "  "
    parts = [(pointer, palette.accent), (plot.title, palette.title)]
    if plot.log:
        parts.append((" log", palette.warn))
    if plot.note:
        parts.append((f" {plot.note}", palette.warn))
    if plot.cursor is not None and plot.series:
        parts.append((f"  {plot.x_label} {plot.cursor:.10g}", palette.accent))
    if plot.legend:
        room = width - _length(parts)
        # A shorter legend keeps every value; with a crosshair the labels may go as well.
        levels = range(3 if plot.cursor is not None else 2)
        legends = [_legend(plot, palette, brevity) for brevity in levels]
        parts += next((legend for legend in legends if _length(legend) <= room), legends[0])
    for name, mark in BEST_MARKS.items():
        entry = [(f"  {mark} ", palette.accent), (name, palette.dim)]
        if name in plot.marks and _length(parts + entry) <= width:
            parts += entry
    return _cut(parts, width)


def _legend(plot: Plot, palette: Palette, brevity: int) -> list[tuple[str, str]]:
    """Each line's marker, label and value; 1: without the ``val`` of ``val robust``; 2: without
    labels."""
    parts = []
    for line in plot.series:
        end = line.curve.xs[-1] if line.curve.xs else 0.0
        at = nearest(line.curve, end if plot.cursor is None else plot.cursor)
        value = "–" if at is None else f"{line.curve.ys[at]:.4g}"
        label = (f"{line.label} ", f"{line.label.removeprefix('val ')} ", "")[brevity]
        parts.append(
            (f"{' ' if brevity else '  '}{line.marker} ", palette.series_style(line.colour))
        )
        parts.append((label, palette.dim))
        parts.append((value, palette.text))
    return parts


def _length(parts: Sequence[tuple[str, str]]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def _cut(parts: Sequence[tuple[str, str]], width: int) -> list[Segment]:
    segments, left = [], width
    for text, style in parts:
        if cell_len(text) > left:
            text = text[: max(left - 1, 0)] + ("…" if left else "")
        segments.append(Segment(text, Style.parse(style)))
        left -= cell_len(text)
        if left <= 0:
            break
    return segments


def _centred(note: str, width: int, height: int, palette: Palette) -> Cells:
    lines: Cells = [[] for _ in range(height)]
    lines[height // 2] = [Segment(note.center(width)[:width], Style.parse(palette.dim))]
    return lines


def _body(plot: Plot, curves: Sequence[Curve], view: View, palette: Palette) -> Cells:
    pattern = [[0] * view.width for _ in range(view.height)]
    owner = [[-1] * view.width for _ in range(view.height)]
    for number, curve in enumerate(curves):
        for row, line in enumerate(cells(draw(curve, view), view.height)):
            if not any(line):
                continue
            patterns, owners = pattern[row], owner[row]
            for column, bits in enumerate(line):
                if bits:
                    patterns[column] |= bits
                    owners[column] = number
    markers = _markers(plot, curves, view)
    labels = _y_labels(plot, view)
    crossed = _column(view, plot.cursor)
    styles = [Style.parse(palette.series_style(line.colour)) for line in plot.series]
    faint, dim = Style.parse(palette.faint), Style.parse(palette.dim)
    accent = Style.parse(palette.accent)
    body = []
    for row in range(view.height):
        label = labels.get(row, "")
        ground = "┈" if label else " "
        segments = [Segment(f"{label:>{GUTTER - 1}} ", dim)]
        text, style = "", faint
        for column, (bits, number) in enumerate(zip(pattern[row], owner[row], strict=True)):
            marker = markers.get((row, column))
            if marker is not None:
                glyph, glyph_style = marker[0], styles[marker[1]]
            elif bits:
                glyph, glyph_style = chr(0x2800 + bits), styles[number]
            elif column == crossed:
                glyph, glyph_style = "│", accent
            else:
                glyph, glyph_style = ground, faint
            if glyph_style is not style:
                if text:
                    segments.append(Segment(text, style))
                text, style = "", glyph_style
            text += glyph
        body.append([*segments, Segment(text, style)])
    return body


def _column(view: View, x: float | None) -> int:
    if x is None or not view.x0 <= x <= view.x1:
        return -1
    return view.column(x) // 2


def _markers(
    plot: Plot, curves: Sequence[Curve], view: View
) -> dict[tuple[int, int], tuple[str, int]]:
    """The marker in each cell (line, column), with the number of its series.

    Where several markers share a cell, the last series wins. At measured points the series take
    turns from point to point, so that lines which lie on each other stay distinguishable.
    """
    markers: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for number, (line, curve) in enumerate(zip(plot.series, curves, strict=True)):
        for at in _marked(plot, curve, view, number):
            row, column = view.row(curve.ys[at]), view.column(curve.xs[at])
            if view.x0 <= curve.xs[at] <= view.x1 and 0 <= row < view.rows:
                place = view.height - 1 - row // 4, column // 2
                markers.setdefault(place, []).append((line.marker, number))
    ranks = {_column(view, x): n for n, x in enumerate(plot.measured)}
    return {
        place: here[ranks[place[1]] % len(here)] if place[1] in ranks else here[-1]
        for place, here in markers.items()
    }


def _marked(plot: Plot, curve: Curve, view: View, number: int) -> Iterator[int]:
    """Indices of the points with a marker: all if measured, else evenly spread and the last."""
    if plot.measured or not curve.xs:
        yield from range(len(curve.xs))
        return
    begin = bisect_left(curve.xs, view.x0)
    end = bisect_left(curve.xs, view.x1 + 1e-9)
    wanted = {nearest(curve, view.x1 if plot.window else curve.xs[-1])}
    stride = (view.x1 - view.x0) * MARKER_EVERY / view.width
    for n in range(view.width // MARKER_EVERY + 1 if begin < end else 0):
        wanted.add(nearest(curve, view.x0 + stride * (n + 0.3 + 0.25 * (number % 4))))
    yield from (at for at in wanted if at is not None)


def _y_labels(plot: Plot, view: View) -> dict[int, str]:
    count = max(view.height // (2 if plot.y_range else 3), 3)
    values = log_ticks(view.y0, view.y1, count) if plot.log else ticks(view.y0, view.y1, count)
    labels: dict[int, str] = {}
    for value in values:
        row = view.height - 1 - view.row(value) // 4
        if 0 <= row < view.height:
            shown = 10**value if plot.log else value
            labels[row] = tick_label(float(f"{shown:.6g}"))
    return labels


def _x_labels(plot: Plot, view: View) -> Iterator[tuple[float, str]]:
    """Ticks and their labels, in the order of their priority where not all labels fit."""
    if plot.measured:
        # Both ends first, then from the right: budgets double, so that they crowd at the left.
        first, *others = sorted(plot.measured)
        order = [*others[-1:], first, *reversed(others[:-1])]
        yield from ((x, plot.measured[x]) for x in order)
        return
    whole = view.x1 - view.x0 >= 1
    for tick in ticks(view.x0, view.x1, max(view.width // 12, 2)):
        if not whole or tick == int(tick):
            yield tick, tick_label(float(f"{tick:.6g}"))


def _x_axis(plot: Plot, view: View, palette: Palette) -> Cells:
    rule = ["─"] * view.width
    text = [" "] * view.width
    for tick, label in _x_labels(plot, view):
        column = _column(view, tick)
        start = min(max(column - len(label) // 2, 0), view.width - len(label))
        around = text[max(start - 1, 0) : start + len(label) + 1]
        has_room = all(c == " " for c in around)
        if column >= 0 and (has_room or plot.measured):
            rule[column] = "┴"
        if column >= 0 and has_room:
            text[start : start + len(label)] = label
    marks = {_column(view, x): BEST_MARKS[name] for name, x in plot.marks.items()}
    faint, accent = Style.parse(palette.faint), Style.parse(palette.accent)
    segments = [Segment(" " * GUTTER)]
    for column, glyph in enumerate(rule):
        mark = marks.get(column)
        segments.append(Segment(mark or glyph, accent if mark else faint))
    label = plot.x_label[: GUTTER - 1]
    last = [
        Segment(f"{label:>{GUTTER - 1}} ", Style.parse(palette.dim)),
        Segment("".join(text), Style.parse(palette.dim)),
    ]
    return [list(Segment.simplify(segments)), last]
