"""The series of a training's charts: which values of which events, over epochs or steps. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from runs.event_types import MetricEvent
from runs.snapshot import Snapshot
from tui.charts.braille import Curve, smooth

Filling = Literal["filled", "hollow", "half"]
SHAPES: dict[Filling, str] = {"filled": "●■▲◆★►◄▮", "hollow": "○□△◇☆▻◅▯", "half": "◐◧◭◈✪◪◩▥"}
"""The markers: the shape stands for a run, the filling for what its values are.

Filled is clean (or attacked with targets), hollow is robust (or attacked without a target), half is
from the training itself. So series that share a chart differ by marker, not by colour alone."""
MARKERS = "".join(SHAPES.values())


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    label: str
    curve: Curve
    colour: int
    """Index of its style: see :meth:`tui.render.palette.Palette.series_style`."""
    marker: str
    group: str = ""
    """What its values are, such as ``clean``; empty where all series of the chart agree in it."""
    run: str = ""
    """Label of its run; empty where all series are of one run."""
    key: str = ""
    """What it is known by while the values change: the run's id and the key of the values."""


@dataclass(frozen=True)
class Metric:
    """One line that a chart can show: its label, the key of its values, its markers."""

    label: str
    key: str
    filling: Filling = "filled"
    is_shared: bool = True
    """Whether it is shown where several runs share the chart."""


@dataclass(frozen=True)
class TrainingCurves:
    """A training whose curves are shown: its label in the legend, its id and its events."""

    label: str
    run_id: str
    snapshot: Snapshot
    is_live: bool = False
    """Whether it is at work: the values at its steps are then shown beside other trainings."""


@dataclass(frozen=True)
class ChartKind:
    """A chart: title, lines, and what limits its values."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    in_percent: bool = False
    is_unbounded: bool = False
    """Whether single values can exceed all others by decades."""


CHARTS = (
    ChartKind(
        "accuracy",
        "accuracy %",
        (
            Metric("train", "train_accuracy", "half", is_shared=False),
            Metric("val clean", "val_accuracy"),
            Metric("val robust", "val_robust_accuracy", "hollow"),
        ),
        in_percent=True,
    ),
    ChartKind(
        "loss",
        "loss",
        (Metric("train", "train_loss", "half", is_shared=False), Metric("val", "val_loss")),
        is_unbounded=True,
    ),
    ChartKind("lr", "learning rate", (Metric("lr", "lr"),)),
)

SMOOTHING = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""Weights of the moving average that ``+`` and ``-`` step through."""


def marker(number: int, filling: Filling = "filled") -> str:
    """The marker of a run by the number of its shape, which wraps around."""
    shapes = SHAPES[filling]
    return shapes[number % len(shapes)]


def shape_numbers(run_ids: Iterable[str]) -> dict[str, int]:
    """Run id to the number of its colour and shape: its place among the sorted ids.

    Depends on the set of runs alone, so that two screens that show the same runs agree. An id
    begins with its time: a run that is added later changes no other run's number.
    """
    return {run_id: number for number, run_id in enumerate(sorted(set(run_ids)))}


def series_of(
    trainings: Sequence[TrainingCurves], chart: ChartKind, *, by_step: bool, smoothing: float = 0.0
) -> list[Series]:
    """The chart's lines; lines without a point are left out.

    By epoch: the means of whole epochs. By step: the values at steps, else those of whole epochs.
    A single training shows all its lines, each in a colour of its own. Several trainings show
    their validation lines, each training in its own colour and shape; a training that is at work,
    or that has no whole epoch, also shows the values at its steps on either axis.
    """
    alone = len(trainings) == 1
    numbers = shape_numbers(training.run_id for training in trainings)
    series = []
    for training in trainings:
        follows_steps = not alone and (training.is_live or not training.snapshot.epochs)
        for place, metric in enumerate(chart.metrics):
            if not (alone or metric.is_shared or follows_steps):
                continue
            steps_first = by_step or (follows_steps and not metric.is_shared)
            points = _points(training.snapshot, metric.key, by_step, steps_first)
            scale = 100.0 if chart.in_percent else 1.0
            curve = Curve.of([(x, None if y is None else scale * y) for x, y in points])
            if not curve.xs:
                continue
            smoothed = Curve(curve.xs, smooth(curve.ys, smoothing), curve.gaps)
            key = f"{training.run_id} {metric.key}"
            if alone:
                glyph = marker(0, metric.filling)
                series.append(Series(metric.label, smoothed, place, glyph, key=key))
                continue
            number = numbers[training.run_id]
            word = metric.label.removeprefix("val ")
            group = word if len(chart.metrics) > 1 else ""
            glyph = marker(number, metric.filling)
            label = f"{training.label} {word}"
            series.append(Series(label, smoothed, number, glyph, group, training.label, key))
    return series


def _points(
    snapshot: Snapshot, key: str, by_step: bool, steps_first: bool
) -> Sequence[tuple[float, float | None]]:
    """The values from the first source that has any: steps or whole epochs, in this order or not.

    On an axis of epochs a step lies within its epoch, and a whole epoch at its end.
    """
    sources = (snapshot.steps, snapshot.epochs)
    for events in sources if steps_first else reversed(sources):
        each = 1.0 if by_step or events is snapshot.epochs else _steps_of_epoch(snapshot)
        points: list[tuple[float, float | None]] = []
        for event in events:
            if key in event["values"]:
                value = event["values"][key]
                x = _x(event, each, by_step)
                if points and x <= points[-1][0]:  # a foreign file: keep x ascending
                    continue
                points.append((x, value if isinstance(value, int | float) else None))
        if points:
            return points
    return ()


def _x(event: MetricEvent, steps_of_epoch: float, by_step: bool) -> float:
    if by_step or event.get("every") != "epoch":
        return event["step"] / steps_of_epoch
    return float(event["epoch"] + 1)


def _steps_of_epoch(snapshot: Snapshot) -> float:
    """Steps in an epoch: of the last whole one, else as the progress of the first tells."""
    if snapshot.epochs:
        last = snapshot.epochs[-1]
        return max(last["step"] / (last["epoch"] + 1), 1.0)
    progress = snapshot.progress
    if progress is not None and progress.get("task") == "train" and progress.get("total"):
        return max(float(progress["total"]), 1.0)
    return max(float(snapshot.steps[-1]["step"]), 1.0) if snapshot.steps else 1.0


def best_epochs(snapshot: Snapshot, *, by_step: bool) -> dict[str, float]:
    """x of the checkpoints best_clean and best_robust, by their names with a blank."""
    return {
        name.replace("_", " "): float(event["step"] if by_step else event["epoch"] + 1)
        for name, event in snapshot.checkpoints.items()
        if name.startswith("best_")
    }
