"""The range of a y axis: what counts as an outlier, and when decades are spanned."""

import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.charts.y_range import grid_of, robust_range, spans_decades


@pytest.mark.parametrize(
    ("curves", "spans"),
    [
        ([[1.0, 99.0]], False),
        ([[1.0, 101.0]], True),
        ([[1.0], [500.0]], True),
        ([[1e-300], [1e300]], True),
        ([[0.0, 1000.0]], False),
        ([[-1.0, 1000.0]], False),
        ([[], []], False),
        ([], False),
    ],
)
def test_decades(curves: list[list[float]], spans: bool) -> None:
    assert spans_decades(curves) is spans


def test_one_value_far_from_the_others_is_left_out_of_each_curve() -> None:
    train = [3.0 - n / 20 for n in range(30)]
    val = [2.5 - n / 40 for n in range(30)]
    train[12], val[12] = 1e6, 5e5
    assert robust_range([train, val]) == (1.55, 3.0)
    val[20] = -1e9
    assert robust_range([train, val]) == (1.55, 3.0)


def test_what_many_values_share_stays() -> None:
    noise = random.Random(0)
    values = [noise.gauss(2, 0.3) for _ in range(2000)]
    assert robust_range([values]) == (min(values), max(values))
    steps = [1.0 + n / 1000 for n in range(900)] + [1000.0] * 100
    assert robust_range([steps]) == (1.0, 1000.0)
    assert robust_range([[5.0] * 9 + [6.0]]) == (5.0, 6.0)
    assert robust_range([[1.0, 2.0, 1000.0]]) == (1.0, 1000.0)


def test_many_values_take_little_time() -> None:
    curves = [[math.sin(n / 700 + k) for n in range(10_000)] for k in range(4)]
    began = time.perf_counter()
    robust_range(curves)
    assert time.perf_counter() - began < 0.05


@given(
    low=st.floats(-1e6, 1e6),
    span=st.floats(1e-3, 1e6),
    lines=st.integers(4, 60),
)
def test_a_grid_holds_the_range_and_its_ticks_lie_on_lines(
    low: float, span: float, lines: int
) -> None:
    high = low + span
    grid = grid_of(low, high, lines)
    assert grid is not None
    assert grid.low <= low + 1e-6 * span
    assert grid.low + (lines - 1) * grid.line >= high - 1e-6 * span
    apart = grid.step / grid.line
    assert abs(apart - round(apart)) < 1e-6
    lowest = grid.low / grid.line
    assert abs(lowest - round(lowest)) < 1e-4


@pytest.mark.parametrize(("lines", "line", "step"), [(11, 10.0, 20.0), (21, 5.0, 20.0)])
def test_percentages_fill_a_grid(lines: int, line: float, step: float) -> None:
    grid = grid_of(0.0, 100.0, lines)
    assert grid is not None
    assert (grid.low, grid.line) == (0.0, line)
    assert grid.step in (step, 2 * line)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (0.0, math.inf), (2.0, 1.0), (0.0, 5e-324)])
def test_no_grid_for_no_range(low: float, high: float) -> None:
    assert grid_of(low, high, 12) is None


def test_decades_are_whole_on_a_grid_of_exponents() -> None:
    grid = grid_of(-2.3, 1.1, 12, least_step=1.0)
    assert grid is not None
    assert grid.step == 1.0
