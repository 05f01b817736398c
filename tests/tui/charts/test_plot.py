"""A chart as text: axes, legend, marks, crosshair, and inputs that break other libraries."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tui.charts.braille import Curve
from tui.charts.plot import GUTTER, Plot, render_plot
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
    assert Curve.of(RISING).nearest(x) == at
    assert Curve.of([]).nearest(x) is None


def test_a_head_that_is_too_long_comes_closer_and_then_goes_beneath_the_title() -> None:
    values = {"train": 22.5, "val clean": 40.0, "val robust": 21.3}
    plot = Plot("accuracy %", [series([(1, value)], name) for name, value in values.items()])
    heads = [drawn(plot, width)[0].rstrip() for width in (70, 56, 41)]
    assert heads[0] == "  accuracy %  ● train 22.50  ● val clean 40.00  ● val robust 21.30"
    assert heads[1] == "  accuracy % ● train 22.50 ● clean 40.00 ● robust 21.30"
    assert heads[2] == "  accuracy %"
    assert drawn(plot, 41)[1].rstrip() == "  ● train 22.50  ● val clean 40.00"
    assert drawn(plot, 41)[2].rstrip() == "  ● val robust 21.30"
    pointed = drawn(replace(plot, cursor=1.0), 44)
    assert pointed[0].rstrip() == "  accuracy %  epoch 1"
    assert "● val robust 21.3" in pointed[2]


def test_marks_on_the_axis_are_named_where_the_legend_leaves_no_room() -> None:
    lines = [series(RISING, name) for name in ("train", "val clean", "val robust")]
    plot = Plot("accuracy %", lines, marks={"best clean": 10.0, "best robust": 4.0})
    head = drawn(plot, 58)
    assert "▽ best clean  ▼ best robust" in head[0]
    assert "● val robust 1" in head[1]


@pytest.mark.parametrize("height", [8, 12, 17, 30])
@pytest.mark.parametrize("most", [2.5, 47.0, 100.0])
def test_a_curve_at_zero_lies_on_the_grid_line(height: int, most: float) -> None:
    points = [(0.0, most), (0.5, 0.0), (10.0, 0.0)]
    plot = Plot("acc", [series(points)], bounds=(0.0, 100.0), in_percent=True)
    lines = drawn(plot, height=height)
    zero = lines[-3]
    assert zero[:GUTTER].strip() == "0"
    middle = [glyph for glyph in zero[GUTTER + 10 :] if glyph != "●"]
    assert set(middle) == {chr(0x2800 + 0x24)}  # the dots beside the middle of the cell


def test_a_curve_at_a_tick_lies_on_its_grid_line() -> None:
    points = [(0.0, 0.0), (0.2, 100.0), (4.0, 100.0), (4.2, 40.0), (10.0, 40.0)]
    lines = drawn(Plot("acc", [series(points)], bounds=(0.0, 100.0)), height=14)
    for value, part in (("100", slice(GUTTER + 4, GUTTER + 26)), ("40", slice(GUTTER + 34, None))):
        line = next(line for line in lines if line[:GUTTER].strip() == value)
        assert {glyph for glyph in line[part] if glyph != "●"} == {chr(0x2800 + 0x24)}


def heights(lines: list[str], outlier: int) -> int:
    """The number of lines in which a curve stands, without the columns around an outlier."""
    near = slice(max(outlier - 4, 0), outlier + 5)
    rest = [line[: near.start] + line[near.stop :] for line in lines]
    return sum(any("⠀" < glyph <= "⣿" for glyph in line) for line in rest)


@pytest.mark.parametrize(
    ("outlier", "log"),
    [(30.0, False), (1e4, False), (1e300, False), (1e4, True), (1e30, True), (1e300, True)],
)
@pytest.mark.parametrize("at", [0, 17, 39])
def test_one_outlier_does_not_flatten_a_clipped_chart(outlier: float, log: bool, at: int) -> None:
    points = [(float(n), outlier if n == at else 4.0 - n / 20) for n in range(40)]
    lines = drawn(Plot("loss", [series(points)], clips=True, log=log))
    column = GUTTER + round(at / 39 * 71)
    assert heights(lines[1:-2], column) >= 7
    assert "↑ to " in lines[0]
    assert "↑" in lines[1][column - 1 : column + 2]


def test_an_outlier_below_all_others_is_marked_too() -> None:
    points = [(float(n), 1e-30 if n == 17 else 4.0 - n / 20) for n in range(40)]
    lines = drawn(Plot("loss", [series(points)], clips=True, log=True))
    assert heights(lines[1:-2], GUTTER + 31) >= 7
    assert "↓ to 1e-30" in lines[0]
    assert "↓" in lines[-3]


def test_without_an_outlier_nothing_is_clipped() -> None:
    decay = [(float(n), 4.6 * math.exp(-n / 3) + 0.1) for n in range(30)]
    to_a_tick = [(float(n), 2.5999999999999996 + (29 - n) * 0.0655) for n in range(30)]
    for points in (decay, to_a_tick, RISING, [(1.0, 1.0)], [(1.0, 0.0), (2.0, 900.0)]):
        lines = drawn(Plot("loss", [series(points)], clips=True))
        assert "↑" not in "".join(lines)
        assert "↓" not in "".join(lines)
