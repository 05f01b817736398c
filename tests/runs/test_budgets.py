"""Budgets read and written the way the field does."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.budgets import format_budget, parse_budget


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/255", 8 / 255),
        (" 8 / 255 ", 8 / 255),
        ("0.5/255", 0.5 / 255),
        ("0.031", 0.031),
        ("1e-3", 1e-3),
        ("0", 0.0),
        (0, 0.0),
        (2, 2.0),
        (0.25, 0.25),
        ("-1/4", -0.25),  # the range is the spec's business
    ],
)
def test_a_number_or_a_fraction_is_read(text: Any, value: float) -> None:
    found = parse_budget(text)

    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    "text",
    ["", "eight", "8/", "/255", "8/255/2", "8//255", "8 255", "8,5/255", "8\\255", "0x8/255", "%"],
)
def test_garbage_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number; write 8/255") as error:
        parse_budget(text)

    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["1/0", "0/0", "1/0.0"])
def test_division_by_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "inf/255", "nan/255", "1e999", math.nan, math.inf, -math.inf]
)
def test_what_is_not_finite_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_budget(text)


@pytest.mark.parametrize("value", [True, False, None, [8], b"8/255", {"eps": 8}, 8j])
def test_what_is_neither_text_nor_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_budget(value)


def test_an_integer_too_large_for_a_float_is_refused_as_a_value_error() -> None:
    with pytest.raises(ValueError):
        parse_budget(10**400)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (8 / 255, "8/255"), (2 / 255, "2/255"), (0.5, "0.5"), (0.031, "0.031")],
)
def test_a_budget_is_written_in_255ths_where_these_are_whole(value: float, text: str) -> None:
    assert format_budget(value) == text


@given(st.integers(0, 255))
def test_every_255th_survives_the_round_trip(number: int) -> None:
    text = format_budget(number / 255)

    assert parse_budget(text) == number / 255
    assert text == (f"{number}/255" if number else "0")


@given(st.floats(1e-5, 10))
def test_any_budget_survives_the_round_trip_to_six_digits(value: float) -> None:
    assert parse_budget(format_budget(value)) == pytest.approx(value, rel=1e-5, abs=4e-9)


def test_a_tiny_budget_is_not_written_as_zero() -> None:
    assert parse_budget(format_budget(1e-9)) > 0


@given(st.text(max_size=20))
def test_any_text_is_a_finite_number_or_a_value_error(text: str) -> None:
    try:
        value = parse_budget(text)
    except ValueError:
        return
    assert math.isfinite(value)
