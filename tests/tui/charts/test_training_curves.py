"""Which lines a chart of trainings has: names, values, markers, colours, and the child at work."""

from collections.abc import Iterable
from typing import Any, cast

import pytest

from runs.event_types import Event, MetricEvent
from runs.snapshot import Snapshot
from tui.charts.plot import Plot, render_plot
from tui.charts.training_curves import (
    CHARTS,
    SHAPES,
    Series,
    TrainingCurves,
    series_of,
    shape_numbers,
)
from tui.render.palette import TERMINAL

ACCURACY, LOSS, LR = CHARTS
STEPS = 50


def metric(epoch: int, step: int, every: str, **values: float) -> MetricEvent:
    fields: dict[str, Any] = {"v": 1, "t": 0.0, "kind": "metric"}
    fields |= {"epoch": epoch, "step": step, "every": every, "values": values}
    return cast(MetricEvent, fields)


def snapshot(epochs: int, steps: int = 0, *, clean: float = 0.5, robust: float = 0.2) -> Snapshot:
    """So many whole epochs, then so many steps of the next, with a value at each tenth step."""
    read = Snapshot()
    for epoch in range(epochs):
        values = {"train_loss": 2.0, "train_accuracy": 0.4, "val_loss": 2.1, "lr": 0.1}
        values |= {"val_accuracy": clean, "val_robust_accuracy": robust}
        read.apply(metric(epoch, (epoch + 1) * STEPS, "epoch", **values))
    for step in range(10, steps + 1, 10):
        within = {"train_loss": 3.0, "train_accuracy": 0.1, "lr": 0.2}
        read.apply(metric(epochs, epochs * STEPS + step, "step", **within))
    progress = {"v": 1, "t": 0.0, "kind": "progress", "task": "train", "done": steps}
    read.apply(cast(Event, {**progress, "total": STEPS, "epoch": epochs, "epochs": 30}))
    return read


def run_id(number: int) -> str:
    return f"20261123-02{number:02d}20-robust-{number:04x}"


def finished(
    number: int, label: str | None = None, *, clean: float = 0.5, robust: float = 0.2
) -> TrainingCurves:
    read = snapshot(30, clean=clean, robust=robust)
    return TrainingCurves(label or f"run {number}", run_id(number), read)


def head(series: Iterable[Series], width: int, height: int = 20, *, percent: bool = True) -> str:
    """What is written above the curves."""
    plot = Plot("accuracy %", list(series), in_percent=percent, bounds=(0.0, 100.0))
    lines = [
        "".join(part.text for part in line) for line in render_plot(plot, width, height, TERMINAL)
    ]
    assert len(lines) == height
    assert all(len(line) <= width for line in lines), lines
    end = next(n for n, line in enumerate(lines) if "┈" in line)
    return "\n".join(line.rstrip() for line in lines[: max(end, 1)])


STUDY = (
    finished(0, "baseline", clean=0.978, robust=0.0),
    finished(1, "robust", clean=0.967, robust=0.633),
)


@pytest.mark.parametrize("width", range(46, 200, 7))
def test_a_studys_legend_is_a_table_of_both_accuracies(width: int) -> None:
    lines = head(series_of(STUDY, ACCURACY, by_step=False), width).splitlines()
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "accuracy %",
        "clean ● baseline 97.8 ■ robust 96.7",
        "robust ○ 0.0 □ 63.3",
    ]
    assert lines[1].index("●") == lines[2].index("○")
    assert lines[1].index("■") == lines[2].index("□")


@pytest.mark.parametrize("width", [48, 58, 78, 118, 198])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_whatever_is_drawn_is_named_with_its_value(width: int, count: int) -> None:
    trainings = [
        finished(n, f"mixed at {n} aa0{n}", clean=0.91 + n / 100, robust=0.41 + n / 100)
        for n in range(count)
    ]
    series = series_of(trainings, ACCURACY, by_step=False)
    text = " ".join(head(series, width).split())
    for line in series:
        assert line.marker in text
        assert f"{line.curve.ys[-1]:.1f}" in text
        if line.group == "robust" and width >= 58:
            assert line.run in text


def test_clean_is_filled_and_robust_hollow_for_every_run() -> None:
    trainings = [finished(n) for n in range(8)]
    series = series_of(trainings, ACCURACY, by_step=False)
    for group, filling in (("clean", "filled"), ("robust", "hollow")):
        own = "".join(line.marker for line in series if line.group == group)
        assert own == SHAPES[filling]  # type: ignore[index]
    alone = series_of(trainings[:1], ACCURACY, by_step=False)
    assert [(line.label, line.marker) for line in alone] == [
        ("train", "◐"),
        ("val clean", "●"),
        ("val robust", "○"),
    ]
    assert len(set("".join(SHAPES.values()))) == 24


def test_a_colour_depends_on_the_id_and_the_set_alone() -> None:
    trainings = [finished(n) for n in range(6)]
    for chart in CHARTS:
        forward = series_of(trainings, chart, by_step=False)
        backward = series_of(trainings[::-1], chart, by_step=False)
        place = {(line.label, line.colour, line.marker) for line in forward}
        assert place == {(line.label, line.colour, line.marker) for line in backward}
        assert {line.colour for line in forward} == set(range(6))
    assert shape_numbers([run_id(3), run_id(1), run_id(3)]) == {run_id(1): 0, run_id(3): 1}


@pytest.mark.parametrize("by_step", [False, True])
def test_the_live_childs_step_curve_is_there_in_its_first_epoch(by_step: bool) -> None:
    live = TrainingCurves("robust", run_id(1), snapshot(0, 30), is_live=True)
    for chart, value in ((LOSS, 3.0), (ACCURACY, 10.0), (LR, 0.2)):
        (line,) = [
            x for x in series_of([STUDY[0], live], chart, by_step=by_step) if x.run == "robust"
        ]
        assert list(line.curve.xs) == ([10, 20, 30] if by_step else [0.2, 0.4, 0.6])
        assert list(line.curve.ys) == pytest.approx([value] * 3)
        assert line.marker == ("■" if chart is LR else "◧")
        assert line.group == ("" if chart is LR else "train")
    text = " ".join(head(series_of([STUDY[0], live], ACCURACY, by_step=by_step), 58).split())
    assert "train ◧ robust 10.0" in text
    assert "clean ● baseline 97.8" in text


@pytest.mark.parametrize("by_step", [False, True])
def test_the_live_childs_step_curve_stays_until_it_ends(by_step: bool) -> None:
    live = TrainingCurves("robust", run_id(1), snapshot(3, 20), is_live=True)
    steps = [x for x in series_of([STUDY[0], live], LOSS, by_step=by_step) if x.group == "train"]
    (line,) = steps
    assert list(line.curve.xs) == ([160, 170] if by_step else [3.2, 3.4])
    ended = TrainingCurves("robust", run_id(1), snapshot(3, 20))
    series = series_of([STUDY[0], ended], LOSS, by_step=by_step)
    assert {x.group for x in series} == {"val"}


def test_a_training_that_ended_in_its_first_epoch_is_not_lost() -> None:
    ended = TrainingCurves("robust", run_id(1), snapshot(0, 20))
    assert {x.run for x in series_of([STUDY[0], ended], LOSS, by_step=False)} == {
        "baseline",
        "robust",
    }


def test_alone_in_its_first_epoch_both_axes_show_its_steps() -> None:
    alone = [TrainingCurves("robust", run_id(1), snapshot(0, 20), is_live=True)]
    assert [x.curve.xs[-1] for x in series_of(alone, LOSS, by_step=False)] == [0.4]
    assert [x.curve.xs[-1] for x in series_of(alone, LOSS, by_step=True)] == [20]
