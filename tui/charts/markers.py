"""Where the markers of a chart's lines stand. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from tui.charts.braille import Curve, View
from tui.charts.training_curves import Series

MARKER_EVERY = 14
"""About so many cells lie between two markers of a line."""
ABOVE, BELOW = "↑", "↓"
"""Stand where a curve leaves a clipped y axis."""


def cell_column(view: View, x: float | None) -> int:
    """The column of cells in which ``x`` lies; -1 outside the window."""
    if x is None or not view.x0 <= x <= view.x1:
        return -1
    return view.column(x) // 2


def markers(
    series: Sequence[Series],
    curves: Sequence[Curve],
    view: View,
    *,
    measured: Iterable[float] = (),
    clips: bool = False,
    is_zoomed: bool = False,
) -> dict[tuple[int, int], tuple[str, int]]:
    """The marker in each cell (line, column), with the number of its series.

    Where several markers share a cell, the last series wins. At ``measured`` points the series take
    turns from point to point, so that lines which lie on each other stay distinguishable.

    Args:
        measured: x of the points that all have a marker; else markers are spread evenly.
        clips: values beyond the y axis have an arrow.
        is_zoomed: the last marker stands at the end of the window, not at that of the line.
    """
    ranks = {cell_column(view, x): n for n, x in enumerate(measured)}
    found: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for number, (line, curve) in enumerate(zip(series, curves, strict=True)):
        every = range(len(curve.xs)) if ranks else _spread(curve, view, number, is_zoomed)
        for at in every:
            row, column = view.row(curve.ys[at]), view.column(curve.xs[at])
            if view.x0 <= curve.xs[at] <= view.x1 and 0 <= row < view.rows:
                place = view.height - 1 - row // 4, column // 2
                found.setdefault(place, []).append((line.marker, number))
        for at in _outside(curve, view) if clips else ():
            is_above = curve.ys[at] > view.y1
            place = 0 if is_above else view.height - 1, view.column(curve.xs[at]) // 2
            found.setdefault(place, []).append((ABOVE if is_above else BELOW, number))
    return {
        place: here[ranks[place[1]] % len(here)] if place[1] in ranks else here[-1]
        for place, here in found.items()
    }


def _spread(curve: Curve, view: View, number: int, is_zoomed: bool) -> Iterator[int]:
    """Indices of points that are evenly spread over the window, and of the last."""
    if not curve.xs:
        return
    begin = bisect_left(curve.xs, view.x0)
    end = bisect_left(curve.xs, view.x1 + 1e-9)
    wanted = {curve.nearest(view.x1 if is_zoomed else curve.xs[-1])}
    stride = (view.x1 - view.x0) * MARKER_EVERY / view.width
    for n in range(view.width // MARKER_EVERY + 1 if begin < end else 0):
        wanted.add(curve.nearest(view.x0 + stride * (n + 0.3 + 0.25 * (number % 4))))
    yield from (at for at in wanted if at is not None)


def _outside(curve: Curve, view: View) -> Iterator[int]:
    """Indices of the points within the window that a clipped y axis leaves out."""
    slack = 1e-6 * (view.y1 - view.y0)
    low, high = view.y0 - slack, view.y1 + slack
    for at in range(bisect_left(curve.xs, view.x0), bisect_right(curve.xs, view.x1)):
        if not low <= curve.ys[at] <= high:
            yield at
