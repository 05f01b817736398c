"""What the charts show of a run: which series, from which events, against which x. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from runs.snapshot import Snapshot
from tui.charts.braille import Curve, smooth

MARKERS = "●■▲◆○□△◇"
"""Series that share a chart differ by these, and not in colour alone."""


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    label: str
    curve: Curve
    look: int
    """Its colour."""
    marker: str


@dataclass(frozen=True)
class Metric:
    """One line that a chart can show: its label and the key of its values."""

    label: str
    key: str
    is_shared: bool = True
    """Whether it is shown where several runs share the chart."""


@dataclass(frozen=True)
class TrainingCurves:
    """A training whose curves are shown: what it is called, and the colour that it keeps."""

    label: str
    look: int
    snapshot: Snapshot


@dataclass(frozen=True)
class ChartKind:
    """A chart: title, lines, and whether its values are shares told in percent."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    in_percent: bool = False


CHARTS = (
    ChartKind(
        "loss", "loss", (Metric("train", "train_loss", is_shared=False), Metric("val", "val_loss"))
    ),
    ChartKind(
        "accuracy",
        "accuracy %",
        (
            Metric("train", "train_accuracy", is_shared=False),
            Metric("val clean", "val_accuracy"),
            Metric("val robust", "val_robust_accuracy"),
        ),
        in_percent=True,
    ),
    ChartKind("lr", "learning rate", (Metric("lr", "lr"),)),
)

SMOOTHING = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""Weights of the moving average that ``+`` and ``-`` go through."""


def series_of(
    courses: Sequence[TrainingCurves], chart: ChartKind, *, by_step: bool, smoothing: float = 0.0
) -> list[Series]:
    """The chart's lines; lines without a point are left out.

    By epoch: the means of whole epochs. By step: the values at steps, and each epoch's where a
    line has no others. A single run shows all its lines, each in a colour of its own; several
    show their validation alone, each run in its colour.
    """
    alone = len(courses) == 1
    metrics = [metric for metric in chart.metrics if alone or metric.is_shared]
    found = []
    for course in courses:
        for number, metric in enumerate(metrics):
            points = _points(course.snapshot, metric.key, by_step=by_step)
            scale = 100.0 if chart.in_percent else 1.0
            curve = Curve.of([(x, None if y is None else scale * y) for x, y in points])
            if not curve.xs:
                continue
            smoothed = Curve(curve.xs, smooth(curve.ys, smoothing), curve.gaps)
            if alone:
                look, marker, label = number, MARKERS[number], metric.label
            else:
                look, label = course.look, f"{course.label} {metric.label.removeprefix('val ')}"
                marker = MARKERS[(course.look + 4 * number) % len(MARKERS)]
            found.append(Series(label, smoothed, look, marker))
    return found


def _points(snapshot: Snapshot, key: str, *, by_step: bool) -> Sequence[tuple[float, float | None]]:
    sources = (snapshot.steps, snapshot.epochs) if by_step else (snapshot.epochs,)
    for events in sources:
        points: list[tuple[float, float | None]] = []
        for event in events:
            if key in event["values"]:
                value = event["values"][key]
                x = event["step"] if by_step else event["epoch"] + 1
                if points and x <= points[-1][0]:  # a foreign file: keep x ascending
                    continue
                points.append((float(x), value if isinstance(value, int | float) else None))
        if points:
            return points
    return ()


def best_epochs(snapshot: Snapshot, *, by_step: bool) -> dict[str, float]:
    """Where best_clean and best_robust stand on the x axis."""
    found = {}
    for name, kept in snapshot.checkpoints.items():
        if name.startswith("best_"):
            found[name.replace("_", " ")] = float(kept["step"] if by_step else kept["epoch"] + 1)
    return found
