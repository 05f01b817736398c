"""The range of a y axis: not determined by few values, its ticks on the lines of the grid.

Pure; knows no chart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

DECADES = 2
"""A logarithmic axis is better from so many decades on."""
_SAMPLE = 512
"""About so many values of a curve decide what is an outlier."""
_SHARE = 200
"""One value in so many may be an outlier, and at least one."""
_REACH = 4.0
"""An outlier is farther from the others than so many times their range."""


def spans_decades(curves: Sequence[Sequence[float]]) -> bool:
    """Whether all values are above 0 and span more than :data:`DECADES` decades."""
    filled = [ys for ys in curves if ys]
    if not filled:
        return False
    low = min(map(min, filled))
    return low > 0 and max(map(max, filled)) / low > 10**DECADES


def robust_range(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Least and largest of the values, without the few of each curve that would flatten it.

    A value of a curve is left out where it is farther from the curve's others than four times their
    range: at most one value in 200 at each end, and at least one where there are five or more. At
    least one of ``curves`` must have a value.
    """
    ranges = [_range_of(ys) for ys in curves if ys]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _range_of(ys: Sequence[float]) -> tuple[float, float]:
    low, high = min(ys), max(ys)
    sample = sorted(ys[:: len(ys) // _SAMPLE + 1])
    if len(sample) < 5:
        return low, high
    few = max(len(sample) // _SHARE, 1)
    inner_low, inner_high = sample[few], sample[-1 - few]
    span = inner_high - inner_low
    if span <= 0:
        return low, high
    if high > inner_high + _REACH * span:
        high = max(y for y in ys if y <= inner_high + span)
    if low < inner_low - _REACH * span:
        low = min(y for y in ys if y >= inner_low - span)
    return low, high


@dataclass(frozen=True)
class Axis:
    """The ends of the y axis, and the values that a clipped axis leaves out."""

    y0: float
    y1: float
    step: float | None = None
    """From one tick to the next; None: ticks at round numbers."""
    below: float | None = None
    above: float | None = None

    @property
    def is_clipped(self) -> bool:
        """Whether values are left out."""
        return self.below is not None or self.above is not None

    def on_grid(self, lines: int, least_step: float = 0.0) -> "Axis":
        """The axis in so many lines: a curve at the value of a tick lies on the grid's line.

        Where there is no such grid, or ``least_step`` makes it coarse, the axis gets a margin.
        """
        grid = grid_of(self.y0, self.y1, lines, least_step)
        span = self.y1 - self.y0
        if grid is None or (least_step and (lines - 1) * grid.line > 1.5 * span):
            margin = 0.05 * span
            return replace(self, y0=self.y0 - margin, y1=self.y1 + margin)
        # The first and the last line reach half a line beyond the axis, which is less its edge.
        return replace(self, y0=grid.low, y1=grid.low + (lines - 0.75) * grid.line, step=grid.step)


def axis_of(
    curves: Sequence[Sequence[float]],
    *,
    clips: bool,
    log: bool,
    bounds: tuple[float, float] | None,
) -> Axis:
    """The axis of these values, or of 0 to 1 without any; ``log``: they are exponents.

    ``clips``: without the outliers of :func:`robust_range`. ``bounds``: limits of the axis.
    """
    least = min((min(ys) for ys in curves if ys), default=0.0)
    most = max((max(ys) for ys in curves if ys), default=1.0)
    clips = clips and any(curves)
    low, high = robust_range(curves) if clips else (least, most)
    margin = 0.0 if high > low else 0.05 * abs(high) or 0.5
    y0, y1 = low - margin, high + margin
    if not log and low >= 0 > y0:
        y0 = 0.0
    if bounds and not log:
        y0, y1 = max(y0, bounds[0]), min(y1, bounds[1])
        if y1 <= y0:
            y0, y1 = bounds
    below = least if clips and least < y0 else None
    return Axis(y0, y1, None, below, most if clips and most > y1 else None)


@dataclass(frozen=True)
class Grid:
    """An axis of values whose ticks all lie at the same height within their lines of text."""

    low: float
    """The value in the middle of the lowest line."""
    line: float
    """The difference in value from one line to the next."""
    step: float
    """The difference in value from one tick to the next."""


def grid_of(low: float, high: float, lines: int, least_step: float = 0.0) -> Grid | None:
    """The finest grid on which so many lines reach from ``low`` to ``high``; None without one.

    Steps are 1, 2 or 5 × 10ⁿ, preferably three lines apart, and not less than ``least_step``.
    """
    span = high - low
    if not 1e-300 < span < 1e300 or lines < 2:
        return None
    grids = [
        grid
        for grid in _grids(low, span, lines)
        if grid.step >= least_step and _reaches(grid, low, high, lines)
    ]

    def cost(grid: Grid) -> float:
        return grid.line * (1 + 0.06 * abs(grid.step / grid.line - 3))

    return min(grids, key=cost, default=None)


def _grids(low: float, span: float, lines: int) -> Iterator[Grid]:
    exponent = math.floor(math.log10(span / lines))
    for factor in (1, 2, 5, 10, 20, 50, 100):
        step = factor * 10.0**exponent
        for between in range(2, 9):
            line = step / between
            yield Grid(math.floor(low / line + 1e-9) * line, line, step)


def _reaches(grid: Grid, low: float, high: float, lines: int) -> bool:
    """Whether the range lies within the grid, which has two ticks."""
    top = grid.low + (lines - 1) * grid.line
    ticks = math.floor(top / grid.step + 1e-9) - math.ceil(grid.low / grid.step - 1e-9) + 1
    return ticks >= 2 and top >= high - 1e-9 * (high - low)
