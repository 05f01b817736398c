"""The series of a training's charts: which values of which events, over epochs or steps. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from runs.snapshot import Snapshot
from tui.charts.braille import Curve, smooth

MARKERS = "●■▲◆○□△◇"
"""Series that share a chart differ by marker, not by colour alone."""


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    label: str
    curve: Curve
    colour: int
    """Index of its style: see :meth:`tui.render.palette.Palette.series_style`."""
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
    """A training whose curves are shown: its label in the legend, its colour and its events."""

    label: str
    colour: int
    snapshot: Snapshot


@dataclass(frozen=True)
class ChartKind:
    """A chart: title, lines, and whether it shows shares in percent."""

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
"""Weights of the moving average that ``+`` and ``-`` step through."""


def series_of(
    trainings: Sequence[TrainingCurves], chart: ChartKind, *, by_step: bool, smoothing: float = 0.0
) -> list[Series]:
    """The chart's lines; lines without a point are left out.

    By epoch: the means of whole epochs. By step: the values at steps, else those of whole epochs.
    A single training shows all its lines, each in a colour of its own. Several trainings show
    their validation lines only, each training in its own colour.
    """
    alone = len(trainings) == 1
    metrics = [metric for metric in chart.metrics if alone or metric.is_shared]
    series = []
    for training in trainings:
        for number, metric in enumerate(metrics):
            points = _points(training.snapshot, metric.key, by_step=by_step)
            scale = 100.0 if chart.in_percent else 1.0
            curve = Curve.of([(x, None if y is None else scale * y) for x, y in points])
            if not curve.xs:
                continue
            smoothed = Curve(curve.xs, smooth(curve.ys, smoothing), curve.gaps)
            if alone:
                colour, marker, label = number, MARKERS[number], metric.label
            else:
                colour = training.colour
                label = f"{training.label} {metric.label.removeprefix('val ')}"
                marker = MARKERS[(colour + 4 * number) % len(MARKERS)]
            series.append(Series(label, smoothed, colour, marker))
    return series


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
    """x of the checkpoints best_clean and best_robust, by their names with a blank."""
    return {
        name.replace("_", " "): float(event["step"] if by_step else event["epoch"] + 1)
        for name, event in snapshot.checkpoints.items()
        if name.startswith("best_")
    }
