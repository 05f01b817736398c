"""Foreign JSON against type annotations: damaged parts are left out, the rest is kept."""

import json
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.event_types import parse_event
from runs.json_types import INVALID, LARGEST, parser
from runs.result_types import parse_result

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


class Point(TypedDict):
    x: float
    label: NotRequired[str | None]


class Shape(TypedDict, total=False):
    points: list[Point]
    weights: dict[str, float | None]
    bounds: tuple[float, float]
    kind: Literal["open", "closed"]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 3),
        (float, 3),
        (float, 0.5),
        (str, "ε"),
        (bool, True),
        (None, None),
        (float | None, None),
        (list[int], [1, 2]),
        (dict[str, float], {"a": 1.5}),
        (Literal["open", "closed"], "open"),
        (Any, {"anything": [None]}),
        (Point, {"x": 1.0, "from": "the future"}),
    ],
)
def test_a_value_of_its_type_is_returned_as_it_is(annotation: Any, value: Any) -> None:
    assert parser(annotation)(value) == value


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, 1.0),
        (int, 10**400),
        (float, "1.0"),
        (float, True),
        (float, 10**400),
        (float, float("nan")),
        (float, float("inf")),
        (float, -LARGEST),
        (str, 1),
        (bool, 1),
        (None, 0),
        (float | None, "none"),
        (list[int], {"0": 1}),
        (dict[str, float], [1.0]),
        (tuple[float, float], [1.0]),
        (tuple[float, float], [1.0, None]),
        (Literal["open", "closed"], "ajar"),
        (Literal["open", "closed"], ["open"]),
        (Point, {"label": "without an x"}),
        (Point, {"x": "far"}),
        (Point, None),
    ],
)
def test_a_value_of_another_type_is_invalid(annotation: Any, value: Any) -> None:
    assert parser(annotation)(value) is INVALID


def test_damaged_entries_are_left_out_and_the_others_kept() -> None:
    parsed = parser(Shape)(
        {
            "points": [{"x": 1}, {"x": None}, "a point", {"x": 2, "label": 3}],
            "weights": {"a": 1.0, "b": "heavy", "c": None},
            "bounds": [0, "high"],
            "kind": "ajar",
            "unknown": {"kept": True},
        }
    )

    assert parsed == {
        "points": [{"x": 1}, {"x": 2}],
        "weights": {"a": 1.0, "c": None},
        "unknown": {"kept": True},
    }


def test_what_was_read_is_not_changed() -> None:
    value = {"points": [{"x": 1}, {"x": None}], "kind": "ajar"}
    before = json.dumps(value)

    parser(Shape)(value)

    assert json.dumps(value) == before


def test_a_type_that_json_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a type of JSON"):
        parser(set[int])


# The types of the contract


@given(JSON)
def test_no_json_value_breaks_the_reading_of_events_and_results(value: Any) -> None:
    parse_event(value)
    if isinstance(value, dict):
        parse_result(value)


@given(
    kind=st.sampled_from(["started", "metric", "progress", "attack", "checkpoint", "system"]),
    fields=st.dictionaries(
        st.sampled_from(
            (
                *("epoch", "step", "values", "task", "done", "total", "model", "attack", "cell"),
                *("successes", "rate", "attempt", "resumed_from", "gpus", "name", "monitor"),
            )
        ),
        JSON,
    ),
)
def test_an_event_that_is_read_has_the_types_of_its_kind(kind: str, fields: Any) -> None:
    event: Any = parse_event({"v": 1, "t": 1.0, **fields, "kind": kind})
    if event is None:
        return
    if kind == "metric":
        assert all(v is None or abs(v) < LARGEST for v in event["values"].values())
    if kind in ("progress", "attack"):
        assert event["done"] + event["total"] == event["total"] + event["done"]
    if "resumed_from" in event and kind == "started":
        assert event["resumed_from"] is None or isinstance(event["resumed_from"]["step"], int)


def test_an_attack_with_one_eps_and_with_several_are_read_alike() -> None:
    cell = {"eps": 0.1, "success_rate": 0.5, "success_ci95": [0.4, 0.6]}
    cell |= {"robust_accuracy": 0.2, "robust_ci95": [0.1, 0.3]}
    row = {"model": "Baseline", "accuracy": 0.7, "accuracy_ci95": [0.6, 0.8]}
    value = {
        "state": "completed",
        "rows": [{**row, "attacks": {"one": cell, "curve": [cell, cell], "damaged": "?"}}],
    }

    result = parse_result(value)

    assert result is not None
    [parsed] = result["rows"]
    assert [len(cells) for cells in parsed["attacks"].values()] == [1, 2, 0]
    assert parsed["attacks"]["one"][0]["success_ci95"] == (0.4, 0.6)


@pytest.mark.parametrize("damage", [{"state": 3}, {"state": None}, {}])
def test_an_object_without_a_state_is_no_result(damage: dict[str, Any]) -> None:
    assert parse_result({"rows": [], **damage}) is None


def test_a_damaged_row_does_not_hide_the_others() -> None:
    row: dict[str, Any] = {"model": "M", "accuracy": None, "accuracy_ci95": None, "attacks": {}}
    value = {"state": "completed", "rows": [{"model": 3}, row, None, {**row, "attacks": []}]}

    result = parse_result(value)

    assert result is not None
    assert [parsed["model"] for parsed in result["rows"]] == ["M"]
