"""Charts as inline SVG: lines over a number, with ranges, ticks and units. Knows nothing of runs.

The colours are those of Okabe & Ito (2008), lighter where the page is dark; markers and dashes tell
the lines apart without colour. The page's style sheet holds both.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tui.report.html import Html, joined, tag

WIDTH, HEIGHT = 560, 320
"""Of a chart, in its own units; the page scales it."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 44
COLOURS = 7
"""How many colours the style sheet has: ``s0`` to ``s6``."""


class Point(NamedTuple):
    """A figure, with its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Line(NamedTuple):
    """A line of a chart: its name, its points in the order of x, its colour and its dash."""

    label: str
    points: Sequence[Point]
    colour: int
    dash: int = 0


def line_chart(
    identity: str,
    title: str,
    description: str,
    lines: Sequence[Line],
    x_title: str,
    y_title: str,
    y_range: tuple[float, float] | None = None,
) -> Html:
    """A figure: the chart, its caption, and a legend of its lines.

    Args:
        identity: unique in the page.
        description: what a reader who doesn't see the chart should know.
        lines: at least one, each with at least one point of finite figures.
        y_range: None: from the figures, with 0.
    """
    xs = [point.x for line in lines for point in line.points]
    ys = [point.y for line in lines for point in line.points]
    x_ticks = ticks(min(xs), max(xs), 6)
    if all(float(x).is_integer() for x in xs):  # epochs
        x_ticks = [tick for tick in x_ticks if float(f"{tick:.6g}").is_integer()]
    y_ticks = ticks(*(y_range or (min(0.0, *ys), max(ys))), 5)
    if not y_range and y_ticks[-1] < max(ys):
        y_ticks.append(y_ticks[-1] + y_ticks[1] - y_ticks[0])
    x_span = (min(xs), max(xs)) if max(xs) > min(xs) else (min(xs) - 0.5, max(xs) + 0.5)
    frame = _Frame(x_span, (y_ticks[0], y_ticks[-1]))
    drawing = tag(
        "svg",
        tag("title", title, id=f"{identity}-title"),
        tag("desc", description, id=f"{identity}-desc"),
        _axes(frame, x_ticks, y_ticks, x_title, y_title),
        *(_drawn(frame, line) for line in lines),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
    )
    return tag(
        "figure", tag("figcaption", title), "\n", drawing, "\n", _legend(lines), class_="chart"
    )


class _Frame(NamedTuple):
    """Where a figure lies in the chart."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, at steps of 1, 2, 2.5 or 5 times a power of ten."""
    if high <= low:
        high = low + 1.0
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [(first + number) * step for number in range(max(count, 2))]


def _axes(
    frame: _Frame, x_ticks: list[float], y_ticks: list[float], x_title: str, y_title: str
) -> Html:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = []
    for value in y_ticks:
        y = _n(frame.y(value))
        parts.append(tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{value:.6g}", x=_LEFT - 8, y=y, class_="tick y"))
    for value in x_ticks:
        if frame.x_range[0] <= value <= frame.x_range[1]:
            x = _n(frame.x(value))
            parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(tag("text", f"{value:.6g}", x=x, y=bottom + 18, class_="tick x"))
    parts.append(tag("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
    middle, half = _n((_LEFT + right) / 2), _n((_TOP + bottom) / 2)
    parts.append(tag("text", x_title, x=middle, y=HEIGHT - 6, class_="name x"))
    turned = f"translate(13 {half}) rotate(-90)"
    parts.append(tag("text", y_title, transform=turned, class_="name x"))
    return joined(parts, "\n")


def _drawn(frame: _Frame, line: Line) -> Html:
    """The range, the line and its markers, in the colour of its class."""
    ends = [(p, p.low, p.high) for p in line.points if p.low is not None and p.high is not None]
    parts: list[Html] = []
    if len(ends) > 1:
        above = [f"{_n(frame.x(p.x))},{_n(frame.y(high))}" for p, _, high in ends]
        below = [f"{_n(frame.x(p.x))},{_n(frame.y(low))}" for p, low, _ in reversed(ends)]
        parts.append(tag("polygon", points=" ".join(above + below), class_="range"))
    path = " ".join(f"{_n(frame.x(p.x))},{_n(frame.y(p.y))}" for p in line.points)
    parts.append(tag("polyline", points=path, class_=f"line d{line.dash % 4}"))
    every = max(1, len(line.points) // 10)
    shown = [*line.points[:-1:every], line.points[-1]]
    parts += [_marker(line.colour, frame.x(p.x), frame.y(p.y)) for p in shown]
    return tag("g", *parts, class_=f"s{line.colour % COLOURS}")


def _marker(number: int, x: float, y: float) -> Html:
    """A circle, square, diamond or triangle around a point."""
    corners: tuple[tuple[float, float], ...]
    match number % 4:
        case 0:
            return tag("circle", cx=_n(x), cy=_n(y), r=3.4, class_="mark")
        case 1:
            corners = ((-3, -3), (3, -3), (3, 3), (-3, 3))
        case 2:
            corners = ((0, -4.4), (4.4, 0), (0, 4.4), (-4.4, 0))
        case _:
            corners = ((0, -4.2), (4, 3), (-4, 3), (0, -4.2))
    points = " ".join(f"{_n(x + dx)},{_n(y + dy)}" for dx, dy in corners)
    return tag("polygon", points=points, class_="mark")


def _legend(lines: Sequence[Line]) -> Html:
    entries = []
    for line in lines:
        sample = tag(
            "svg",
            tag(
                "g",
                tag("polyline", points="1,7 31,7", class_=f"line d{line.dash % 4}"),
                _marker(line.colour, 16, 7),
                class_=f"s{line.colour % COLOURS}",
            ),
            viewBox="0 0 32 14",
            aria_hidden="true",
        )
        entries.append(tag("li", sample, line.label))
    return tag("ul", *entries, class_="legend")


def _n(value: float) -> str:
    """A coordinate with one decimal."""
    return f"{value:.1f}".removesuffix(".0")
