"""Curves as dots: nothing is lost, nothing is made up."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.charts.braille import Curve, View, cells, draw, log_ticks, smooth, tick_label, ticks


def lit(columns: list[int]) -> set[tuple[int, int]]:
    """(column, row) of every dot that is lit, rows from below."""
    return {
        (x, y) for x, bits in enumerate(columns) for y in range(bits.bit_length()) if bits >> y & 1
    }


UNIT = View(0.0, 1.0, 0.0, 1.0, 10, 5)


def test_a_single_point_is_seen() -> None:
    assert lit(draw(Curve.of([(0.5, 0.5)]), UNIT)) == {(UNIT.column(0.5), UNIT.row(0.5))}


def test_corners_are_the_corners() -> None:
    assert lit(draw(Curve.of([(0.0, 0.0)]), UNIT)) == {(0, 0)}
    assert lit(draw(Curve.of([(1.0, 1.0)]), UNIT)) == {(19, 19)}


def test_a_line_has_a_dot_in_every_column_and_no_hole() -> None:
    dots = lit(draw(Curve.of([(0.0, 0.0), (1.0, 1.0)]), UNIT))
    rows = [[y for x, y in dots if x == column] for column in range(UNIT.columns)]
    assert all(rows)
    for left, right in pairwise(rows):
        assert min(right) - max(left) <= 1


@pytest.mark.parametrize("gap", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_gap_that_no_line_crosses(gap: float | None) -> None:
    curve = Curve.of([(0.0, 0.5), (0.4, gap), (0.8, 0.5), (1.0, 0.5)])
    columns = {x for x, _ in lit(draw(curve, UNIT))}
    assert 0 in columns
    assert not columns & set(range(2, UNIT.column(0.8)))
    assert set(range(UNIT.column(0.8), 20)) <= columns


def test_a_spike_among_many_points_is_not_lost() -> None:
    points = [(n / 9999, 1.0 if n == 4321 else 0.0) for n in range(10_000)]
    dots = lit(draw(Curve.of(points), UNIT))
    assert (UNIT.column(0.4321), UNIT.rows - 1) in dots


def test_a_gap_among_many_points_stays_a_gap() -> None:
    points = [(n / 9999, None if 4000 <= n < 6000 else 0.5) for n in range(10_000)]
    columns = {x for x, _ in lit(draw(Curve.of(points), UNIT))}
    assert not columns & set(range(UNIT.column(0.4) + 1, UNIT.column(0.6)))


@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=300),
    st.integers(1, 30),
    st.integers(1, 12),
)
def test_many_points_and_few_light_the_same_extremes(
    ys: list[float], width: int, height: int
) -> None:
    """Repeating every point changes nothing but the number of points."""
    view = View(0.0, len(ys) - 1.0, -10.0, 10.0, width, height)
    few = draw(Curve.of([(float(n), y) for n, y in enumerate(ys)]), view)
    times = 2 * view.columns // len(ys) + 2
    many = draw(Curve.of([(float(n), y) for n, y in enumerate(ys) for _ in range(times)]), view)
    for n, y in enumerate(ys):
        bit, column = 1 << view.row(y), view.column(float(n))
        assert few[column] & bit
        near = many[max(column - 1, 0) : column + 2]  # a tie may round to either side
        assert any(lit & bit for lit in near)


def test_columns_without_points_are_bridged_also_among_many_points() -> None:
    crowd = [(n / 100_000, 0.0) for n in range(1000)]
    dots = lit(draw(Curve.of([*crowd, (1.0, 0.0)]), UNIT))
    assert {x for x, _ in dots} == set(range(20))


def test_what_lies_outside_the_window_is_not_drawn() -> None:
    view = View(0.25, 0.75, 0.25, 0.75, 10, 5)
    dots = lit(draw(Curve.of([(0.0, 0.0), (1.0, 1.0)]), view))
    assert dots
    assert all(0 <= x < 20 and 0 <= y < 20 for x, y in dots)


def test_cells_are_the_braille_of_their_dots() -> None:
    columns = [0] * 4
    columns[0] = 0b1  # the lowest dot at the left
    columns[3] = 0b1000_0000  # the highest dot at the right
    grid = cells(columns, 2)
    assert chr(0x2800 + grid[1][0]) == "⡀"
    assert chr(0x2800 + grid[0][1]) == "⠈"
    assert grid[0][0] == grid[1][1] == 0


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, 4, [0, 50, 100]),
        (1, 13, 4, [5, 10]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, 4, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 20))
def test_ticks_lie_within(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count)
    slack = 1e-6 * max(abs(low), span)
    assert len(found) <= 2 * count + 2
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_ticks_of_a_log_axis() -> None:
    assert log_ticks(-3.0, 0.0, 10) == [-3, -2, -1, 0]
    within = log_ticks(math.log10(0.2), math.log10(0.9), 5)
    assert [round(10**value, 6) for value in within] == [0.2, 0.4, 0.6, 0.8]


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.05, "0.05"), (25, "25"), (15_000, "15k"), (8e-6, "8e-06"), (-3.5, "-3.5")],
)
def test_tick_labels(value: float, told: str) -> None:
    assert tick_label(value) == told


def test_smoothing_starts_without_bias_and_keeps_a_constant() -> None:
    assert smooth([3.0, 3.0, 3.0], 0.9) == pytest.approx([3.0, 3.0, 3.0])
    assert smooth([1.0, 5.0], 0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 5) / 0.75])
    assert smooth([1.0, 5.0], 0.0) == [1.0, 5.0]
