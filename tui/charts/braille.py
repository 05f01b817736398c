"""Curves as braille: from points to rows of dots. Pure; knows no widget and no colour.

A cell holds 2 × 4 dots. Each column of dots shows the extremes of the points in it: no spike is
lost, and the cost of drawing lines does not grow with the number of points.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

DOTS_X, DOTS_Y = 2, 4
# Bits of the braille pattern for the dots of a cell's left and right column, bottom dot first.
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)


def _patterns(bits: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(bit for n, bit in enumerate(bits) if four >> n & 1) for four in range(16))


_LEFT_OF, _RIGHT_OF = _patterns(_LEFT), _patterns(_RIGHT)


@dataclass(frozen=True)
class Curve:
    """Points with ascending ``xs``; no line crosses a gap."""

    xs: Sequence[float]
    ys: Sequence[float]
    gaps: frozenset[int] = frozenset()
    """Indices of points that no line joins to the one before."""

    @classmethod
    def of(cls, points: Sequence[tuple[float, float | None]]) -> "Curve":
        """From points in ascending x; None, NaN and infinities become gaps."""
        xs: list[float] = []
        ys: list[float] = []
        gaps: set[int] = set()
        for x, y in points:
            if y is None or not math.isfinite(y):
                gaps.add(len(xs))
            else:
                xs.append(x)
                ys.append(y)
        return cls(xs, ys, frozenset(gaps - {0}))

    def nearest(self, x: float) -> int | None:
        """Index of the point nearest to ``x``; None where there is no point."""
        if not self.xs:
            return None
        after = min(bisect_left(self.xs, x), len(self.xs) - 1)
        before = max(after - 1, 0)
        return before if abs(self.xs[before] - x) <= abs(self.xs[after] - x) else after


@dataclass(frozen=True)
class View:
    """The window that is drawn: data ranges, and the size in cells."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: int
    height: int
    edge: int = 0
    """Dots between the ends of the y axis and those of the window: with 1, the line at an end lies
    in the middle of its cell, as a grid line does."""

    @property
    def columns(self) -> int:
        return self.width * DOTS_X

    @property
    def rows(self) -> int:
        return self.height * DOTS_Y

    def column(self, x: float) -> int:
        """The column of dots of ``x``; outside the window where ``x`` is."""
        return math.floor((x - self.x0) / ((self.x1 - self.x0) or 1.0) * (self.columns - 1) + 0.5)

    def row(self, y: float) -> int:
        """The row of dots of ``y``, counted from below; outside the window where ``y`` is."""
        span = self.rows - 1 - 2 * self.edge
        return self.edge + math.floor((y - self.y0) / ((self.y1 - self.y0) or 1.0) * span + 0.5)


def draw(curve: Curve, view: View) -> list[int]:
    """For each column of dots the rows that are lit, as the bits of an integer."""
    lit = [0] * view.columns
    xs, ys, gaps = curve.xs, curve.ys, curve.gaps
    first = max(bisect_left(xs, view.x0) - 1, 0)
    last = min(bisect_right(xs, view.x1) + 1, len(xs))
    if last - first > 2 * view.columns:
        _draw_extremes(curve, view, lit, first, last)
        return lit
    before: tuple[int, int] | None = None
    for n in range(first, last):
        at = view.column(xs[n]), view.row(ys[n])
        if before is not None and n not in gaps:
            _line(lit, before, at, view.rows)
        else:
            _line(lit, at, at, view.rows)
        before = at
    return lit


def _draw_extremes(curve: Curve, view: View, lit: list[int], first: int, last: int) -> None:
    """For many points per column: light the range of each column, and join the columns."""
    xs, ys = curve.xs, curve.ys
    breaks = sorted(gap for gap in curve.gaps if first < gap < last)
    step = (view.x1 - view.x0) / max(view.columns - 1, 1)
    rows = view.rows
    begin, before, left_at = first, -2, 0
    for column in range(view.columns):
        end = bisect_left(xs, view.x0 + (column + 0.5) * step, begin, last)
        if end == begin:
            continue
        values = ys[begin:end]
        low, high = view.row(min(values)), view.row(max(values))
        broken = bool(breaks) and bisect_right(breaks, end - 1) > bisect_left(breaks, begin)
        if before >= 0 and not broken:
            entered = view.row(values[0])
            if before == column - 1:  # each column is lit up to halfway
                half = math.floor((left_at + entered) / 2 + 0.5)
                _vertical(lit, before, min(left_at, half), max(left_at, half), rows)
                low, high = min(low, half), max(high, half)
            else:
                _line(lit, (before, left_at), (column, entered), rows)
        _vertical(lit, column, low, high, rows)
        begin, before, left_at = end, column, view.row(values[-1])


def _line(lit: list[int], start: tuple[int, int], end: tuple[int, int], rows: int) -> None:
    """A straight line of dots; each column is lit from where the line enters to where it leaves."""
    (x0, y0), (x1, y1) = start, end
    if x1 == x0:
        _vertical(lit, x0, min(y0, y1), max(y0, y1), rows)
        return
    slope = (y1 - y0) / (x1 - x0)
    for x in range(max(x0, 0), min(x1, len(lit) - 1) + 1):
        enter = y0 + slope * (max(x - 0.5, x0) - x0)
        leave = y0 + slope * (min(x + 0.5, x1) - x0)
        low, high = sorted((math.floor(enter + 0.5), math.floor(leave + 0.5)))
        _vertical(lit, x, low, high, rows)


def _vertical(lit: list[int], column: int, low: int, high: int, rows: int) -> None:
    if low < 0:
        low = 0
    if high >= rows:
        high = rows - 1
    if low <= high and 0 <= column < len(lit):
        lit[column] |= (2 << high) - (1 << low)


def cells(lit: Sequence[int], height: int) -> list[list[int]]:
    """Rows of cells from above, each the offset of its braille pattern from U+2800."""
    grid = []
    any_lit = 0
    for column in lit:
        any_lit |= column
    pairs = list(zip(lit[::2], lit[1::2], strict=True))
    for row in range(height):
        shift = (height - 1 - row) * DOTS_Y
        if any_lit >> shift & 15:
            grid.append(
                [
                    _LEFT_OF[left >> shift & 15] | _RIGHT_OF[right >> shift & 15]
                    for left, right in pairs
                ]
            )
        else:
            grid.append([0] * len(pairs))
    return grid


def ticks(low: float, high: float, count: int) -> list[float]:
    """At most about ``count`` round numbers within [low, high], in steps of 1, 2 or 5 × 10ⁿ."""
    span = high - low
    if not (math.isfinite(span) and span > 0) or count < 1:
        return [low]
    raw = span / count
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    multiples = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return [0.0 if abs(tick) < step / 1e6 else tick for tick in multiples]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Ticks for a log axis whose bounds are log₁₀ of the data's: powers of ten, or their parts."""
    decades = [float(n) for n in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]
    if len(decades) >= 2:
        stride = max(1, math.ceil(len(decades) / max(count, 1)))
        return decades[::stride]
    values = ticks(10**low, 10**high, count)
    return [math.log10(value) for value in values if value > 0]


def tick_label(value: float) -> str:
    """A tick's value in at most seven characters: ``0.05``, ``25``, ``1.5k``, ``2e-05``."""
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e6:
        plain = f"{value / 1000:g}k" if size >= 10_000 else f"{value:.6g}"
        if len(plain) <= 7:
            return plain
    short = f"{value:.0e}"
    return short if float(short) == value else f"{value:.1e}"


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """An exponential moving average with bias correction (Kingma & Ba 2015, section 3)."""
    if weight <= 0:
        return list(values)
    average, bias, smoothed = 0.0, 1.0, []
    for value in values:
        average = weight * average + (1 - weight) * value
        bias *= weight
        smoothed.append(average / (1 - bias))
    return smoothed
