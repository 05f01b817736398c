"""A chart as text: axes, legend, marks, crosshair, and inputs that break other libraries."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tui.charts.braille import Curve
from tui.charts.plot import GUTTER, Plot, nearest, render_plot
from tui.charts.training_curves import Series
from tui.render.palette import Palette

PALETTE = Palette(
    **dict.fromkeys(
        ("text", "dim", "faint", "title", "accent", "good", "warn", "bad", "bar"), "#ffffff"
    ),
    series=("#ff0000", "#00ff00"),
)


def series(
    points: Sequence[tuple[float, float | None]], label: str = "train", colour: int = 0
) -> Series:
    return Series(label, Curve.of(points), colour, "●■▲"[colour])


def drawn(plot: Plot, width: int = 80, height: int = 16) -> list[str]:
    lines = render_plot(plot, width, height, PALETTE)
    assert len(lines) == height
    text = ["".join(segment.text for segment in line) for line in lines]
    assert all(len(line) <= width for line in text), text
    return text


RISING = [(float(n), 0.1 * n) for n in range(1, 11)]


def test_title_legend_and_last_value() -> None:
    head = drawn(Plot("loss", [series(RISING), series([(1.0, 0.5)], "val", 1)]))[0]
    assert "loss" in head
    assert "● train 1" in head
    assert "■ val 0.5" in head


def test_the_last_point_carries_its_marker() -> None:
    lines = drawn(Plot("loss", [series(RISING)]))
    assert any(line.rstrip().endswith("●") for line in lines[1:-2])


def test_the_crosshair_reads_exact_values() -> None:
    lines = drawn(Plot("loss", [series(RISING)], cursor=3.0))
    assert "epoch 3" in lines[0]
    assert "● train 0.3" in lines[0]
    assert any("│" in line for line in lines[1:-2])


def test_best_epochs_stand_on_the_axis_and_in_the_legend() -> None:
    lines = drawn(Plot("acc", [series(RISING)], marks={"best clean": 10.0, "best robust": 4.0}))
    assert lines[-2].rstrip().endswith("▽")
    assert "▼" in lines[-2]
    assert "▽ best clean" in lines[0]
    assert "▼ best robust" in lines[0]


def test_zoom_shows_the_window_alone() -> None:
    points = [(float(n), 1000.0 if n == 1 else float(n)) for n in range(1, 101)]
    lines = drawn(Plot("loss", [series(points)], window=(50.0, 60.0)))
    assert "1000" not in "".join(lines)
    assert any(label in lines[-1] for label in ("52", "55"))


def test_percentages_never_leave_0_to_100() -> None:
    lines = drawn(Plot("acc", [series([(1.0, 0.0), (2.0, 100.0)])], bounds=(0.0, 100.0)))
    labels = [line[: GUTTER - 1].strip() for line in lines[1:-2]]
    assert {"0", "100"} <= set(labels)


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, 3.0)],
        [(1.0, 0.0)],
        [(1.0, 0.0), (2.0, 0.0)],
        [(1.0, math.nan), (2.0, None), (3.0, math.inf)],
        [(1.0, -5.0), (2.0, 5.0)],
        [(1.0, 1e300), (2.0, 1e-300)],
        [],
    ],
)
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("size", [(80, 16), (20, 5), (10, 3), (1, 1), (200, 60)])
def test_no_data_breaks_it(
    points: list[tuple[float, float | None]], log: bool, size: tuple[int, int]
) -> None:
    lines = render_plot(Plot("x", [series(points)], log=log), *size, PALETTE)
    assert len(lines) <= size[1]


def test_a_single_point_is_visible() -> None:
    assert any("●" in line for line in drawn(Plot("loss", [series([(1.0, 3.0)])]))[1:-2])


def test_nothing_above_zero_is_said_on_a_log_axis() -> None:
    assert "log axis" in "".join(drawn(Plot("lr", [series([(1.0, 0.0)])], log=True)))


def test_without_series_it_says_what_is_missing() -> None:
    assert "no values yet" in "".join(drawn(Plot("loss")))


@pytest.mark.parametrize(("x", "at"), [(-5.0, 0), (1.4, 0), (1.6, 1), (99.0, 9)])
def test_nearest(x: float, at: int) -> None:
    assert nearest(Curve.of(RISING), x) == at
    assert nearest(Curve.of([]), x) is None


def test_a_head_that_is_too_long_comes_closer_rather_than_lose_its_last_value() -> None:
    values = {"train": 22.5, "val clean": 40.0, "val robust": 21.3}
    plot = Plot("accuracy %", [series([(1, value)], name) for name, value in values.items()])
    heads = [drawn(plot, width)[0].rstrip() for width in (70, 56, 41)]
    assert heads[0] == "  accuracy %  ● train 22.5  ● val clean 40  ● val robust 21.3"
    assert heads[1] == "  accuracy % ● train 22.5 ● clean 40 ● robust 21.3"
    assert heads[2].endswith("val clean …")
    pointed = drawn(replace(plot, cursor=1.0), 44)[0].rstrip()
    assert pointed == "  accuracy %  epoch 1 ● 22.5 ● 40 ● 21.3"
