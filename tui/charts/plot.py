"""A chart as lines of styled text: title and legend, braille curves, axes, marks, a crosshair.

Pure: takes a :class:`Plot` and a size in cells, returns segments, and what stands where in them.
Knows no widget and no file.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.segment import Segment
from rich.style import Style

from tui.charts.braille import Curve, View, cells, draw, log_ticks, tick_label, ticks
from tui.charts.legend import Legend, Part, Parts, keys_at, length, segments_of
from tui.charts.markers import ABOVE, BELOW, cell_column, markers
from tui.charts.training_curves import Series
from tui.charts.y_range import Axis, axis_of
from tui.render.palette import Palette

GUTTER = 8
"""Cells left of the curves, for the labels of the y axis."""
BEST_MARKS = {"best clean": "▽", "best robust": "▼"}
LEAST_ROWS = 4
"""Lines of curves that a legend leaves where shorter labels can achieve it."""

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
    clips: bool = False
    """Whether few values far from all others lie outside the y axis, with a mark that says so."""
    in_percent: bool = False
    """Whether the legend's values have one decimal, and two at the crosshair."""
    y_range: tuple[float, float] | None = None
    """Fixed range of the y axis; None: from the values."""
    measured: Mapping[float, str] = field(default_factory=dict)
    """x of each measured point, with its label: it gets a tick and a marker. For few points."""
    legend: bool = True
    """Whether the series are listed with their values, beside the title or beneath it."""
    window: tuple[float, float] | None = None
    """Range of x that is drawn; None: the whole range."""
    cursor: float | None = None
    """x of the crosshair."""
    marks: dict[str, float] = field(default_factory=dict)
    """x of the checkpoints, by the names of :data:`BEST_MARKS`."""
    hidden: frozenset[str] = frozenset()
    """Keys of the series that stand in the legend only."""
    is_current: bool = False
    note: str = ""
    empty: str = "no values yet"


@dataclass(frozen=True)
class Drawing:
    """A drawn chart, and what stands where in it: lines and columns count from 0."""

    lines: Cells
    head: Sequence[Parts] = ()
    """The parts of the first lines: title and legend."""
    view: View | None = None
    """The window of the curves, below the head and right of :data:`GUTTER`; None without any."""

    def legend_at(self, column: int, line: int) -> tuple[str, ...]:
        """The keys of the series for which the legend's entry at this cell stands."""
        return keys_at(self.head[line], column) if line < len(self.head) else ()

    def x_at(self, column: int, line: int) -> float | None:
        """x of a cell among the curves or on the x axis; None elsewhere."""
        if self.view is None or line < len(self.head) or column < GUTTER:
            return None
        return self.x_near(column)

    def x_near(self, column: int) -> float | None:
        """x of a column, left and right of the curves that of their end; None without curves."""
        if self.view is None:
            return None
        cell = min(max(column - GUTTER, 0), self.view.width - 1)
        share = (2 * cell + 0.5) / (self.view.columns - 1)
        return self.view.x0 + share * (self.view.x1 - self.view.x0)


def x_range(series: Sequence[Series]) -> tuple[float, float]:
    """From the first x of any line to the last."""
    firsts = [line.curve.xs[0] for line in series if line.curve.xs]
    lasts = [line.curve.xs[-1] for line in series if line.curve.xs]
    return (min(firsts), max(lasts)) if firsts else (0.0, 1.0)


def render_plot(plot: Plot, width: int, height: int, palette: Palette) -> Cells:
    """The chart in ``height`` lines of ``width`` cells."""
    return draw_plot(plot, width, height, palette).lines


def draw_plot(plot: Plot, width: int, height: int, palette: Palette) -> Drawing:
    """The chart in ``height`` lines of ``width`` cells, with what stands where."""
    if height < 5 or width < GUTTER + 12:
        return Drawing([[Segment(plot.title[:width])]][:height])
    visible = [line for line in plot.series if line.key not in plot.hidden]
    curves = [_on_axis(line.curve, plot.log) for line in visible]
    if not any(curve.xs for curve in curves):
        head = _head(plot, Axis(0.0, 1.0), width, height, palette)
        note = _centred(_why_empty(plot, visible), width, height - len(head), palette)
        return Drawing([*_lines(head, width), *note], head)
    x0, x1 = plot.window or x_range(plot.series)
    if x0 == x1:
        x0, x1 = x0 - 0.5, x1 + 0.5
    axis = _axis(plot, curves, x0, x1)
    plot = replace(plot, clips=axis.is_clipped)
    if axis.is_clipped:
        curves = [_within(curve, axis) for curve in curves]
    head = _head(plot, axis, width, height, palette)
    rows = height - len(head) - 2
    axis = axis.on_grid(rows, least_step=1.0 if plot.log else 0.0)
    view = View(x0, x1, axis.y0, axis.y1, width - GUTTER, rows, edge=1)
    labels = _y_labels(plot, axis, view)
    body = _body(replace(plot, series=visible), curves, view, labels, palette)
    return Drawing([*_lines(head, width), *body, *_x_axis(plot, view, palette)], head, view)


def _why_empty(plot: Plot, visible: Sequence[Series]) -> str:
    if not plot.series:
        return plot.empty
    if not visible:
        return "all lines are hidden: a click in the legend shows them"
    return "nothing above 0 to show on a log axis" if plot.log else plot.empty


def _lines(head: Sequence[Parts], width: int) -> Cells:
    return [segments_of(parts, width) for parts in head]


def _on_axis(curve: Curve, log: bool) -> Curve:
    if not log:
        return curve
    points: list[tuple[float, float | None]] = []
    for n, (x, y) in enumerate(zip(curve.xs, curve.ys, strict=True)):
        if n in curve.gaps:
            points.append((x, None))
        points.append((x, math.log10(y) if y > 0 else None))
    return Curve.of(points)


def _axis(plot: Plot, curves: Sequence[Curve], x0: float, x1: float) -> Axis:
    if plot.y_range:
        return Axis(*plot.y_range)
    visible = []
    for curve in curves:
        begin = bisect_left(curve.xs, x0)
        visible.append(curve.ys[begin : bisect_left(curve.xs, x1) + 1])
    return axis_of(visible, clips=plot.clips, log=plot.log, bounds=plot.bounds)


def _within(curve: Curve, axis: Axis) -> Curve:
    """The curve, whose values beyond a clipped axis come near it: 1e300 has no row of dots."""
    far = 10 * (axis.y1 - axis.y0)
    low, high = axis.y0 - far, axis.y1 + far
    return Curve(curve.xs, [min(max(y, low), high) for y in curve.ys], curve.gaps)


def _head(plot: Plot, axis: Axis, width: int, height: int, palette: Palette) -> list[Parts]:
    """``▸ loss   ● train 0.312   ■ val 0.402``: the values at the crosshair, else the last.

    Where this is wider than the chart, the legend stands beneath the title.
    """
    title = _title(plot, axis, palette)
    marks: Parts = []
    for name, mark in BEST_MARKS.items():
        if name in plot.marks:
            marks += [Part(f"  {mark} ", palette.accent), Part(name, palette.dim)]
    if not (plot.legend and plot.series):
        return [title + marks if length(title + marks) <= width else title]
    legend = Legend(plot.series, palette, plot.cursor, plot.in_percent, plot.hidden)
    for parts in legend.beside_title():
        if length(title + parts + marks) <= width:
            return [title + parts + marks]
    most = max(height - 3 - LEAST_ROWS, 1)
    return [title + marks, *legend.beneath(width, most)][: height - 4]


def _title(plot: Plot, axis: Axis, palette: Palette) -> Parts:
    pointer = "▸ " if plot.is_current else "  "
    parts: Parts = [Part(pointer, palette.accent), Part(plot.title, palette.title)]
    if plot.log:
        parts.append(Part(" log", palette.warn))
    for mark, value in ((ABOVE, axis.above), (BELOW, axis.below)):
        if value is not None:
            shown = _power(value) if plot.log else value
            parts.append(Part(f" {mark} to {tick_label(float(f'{shown:.3g}'))}", palette.warn))
    if plot.note:
        parts.append(Part(f" {plot.note}", palette.warn))
    if plot.cursor is not None and plot.series:
        parts.append(Part(f"  {plot.x_label} {plot.cursor:.10g}", palette.accent))
    return parts


def _centred(note: str, width: int, height: int, palette: Palette) -> Cells:
    lines: Cells = [[] for _ in range(height)]
    if not lines:
        return lines
    lines[height // 2] = [Segment(note.center(width)[:width], Style.parse(palette.dim))]
    return lines


def _body(
    plot: Plot, curves: Sequence[Curve], view: View, labels: Mapping[int, str], palette: Palette
) -> Cells:
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
    marked = markers(
        *(plot.series, curves, view),
        measured=plot.measured,
        clips=plot.clips,
        is_zoomed=plot.window is not None,
    )
    crossed = cell_column(view, plot.cursor)
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
            marker = marked.get((row, column))
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


def _power(exponent: float) -> float:
    """10 to this power, within the range of floats."""
    return float(10 ** min(exponent, 308.0))


def _y_labels(plot: Plot, axis: Axis, view: View) -> dict[int, str]:
    count = max(view.height // 3, 3)
    if axis.step:
        last = min(axis.y1, (plot.bounds or plot.y_range or (0.0, math.inf))[1])
        numbers = range(
            math.ceil(axis.y0 / axis.step - 1e-9), math.floor(last / axis.step + 1e-9) + 1
        )
        values = [n * axis.step for n in numbers]
    else:
        values = (log_ticks if plot.log else ticks)(axis.y0, axis.y1, count)
    labels: dict[int, str] = {}
    for value in values:
        row = view.height - 1 - view.row(value) // 4
        if 0 <= row < view.height:
            shown = _power(value) if plot.log else value
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
        column = cell_column(view, tick)
        start = min(max(column - len(label) // 2, 0), view.width - len(label))
        around = text[max(start - 1, 0) : start + len(label) + 1]
        has_room = all(c == " " for c in around)
        if column >= 0 and (has_room or plot.measured):
            rule[column] = "┴"
        if column >= 0 and has_room:
            text[start : start + len(label)] = label
    marks = {cell_column(view, x): BEST_MARKS[name] for name, x in plot.marks.items()}
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
