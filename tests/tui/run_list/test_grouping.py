"""Sweeps and studies fold at any depth, and rows of equal value stand together."""

from dataclasses import replace
from typing import Any

import pytest

from tui.render.palette import TERMINAL
from tui.run_list.filter import arrange, grouped, grouping, matching
from tui.run_list.lines import ListLines
from tui.run_list.row import Row


def row(name: str, parent: str | None = None, **fields: Any) -> Row:
    spec = fields.pop("spec", {})
    return Row(name, name=name, parent=parent, state="completed", spec=spec, **fields)


FAMILY = [
    row("sweep", kind="sweep"),
    row("one", "sweep", kind="study", created=1.0),
    row("two", "sweep", kind="study", created=2.0),
    row("baseline", "one", kind="train", created=3.0),
    row("alone", kind="train"),
]


def test_children_of_children_stand_below_their_parents() -> None:
    arranged = [(each.name, depth) for each, depth in arrange(FAMILY)]
    assert arranged == [
        *(("sweep", 0), ("one", 1), ("baseline", 2), ("two", 1), ("alone", 0)),
    ] or arranged == [("alone", 0), ("sweep", 0), ("one", 1), ("baseline", 2), ("two", 1)]
    folded = arrange(FAMILY, unfolded=lambda each: each.name != "sweep")
    assert {each.name for each, _ in folded} == {"sweep", "alone"}


def test_a_sweep_says_how_many_of_its_points_are_done() -> None:
    rows = [replace(each, state="running") if each.name == "two" else each for each in FAMILY]
    (sweep,) = [each for each, _ in arrange(rows) if each.name == "sweep"]
    assert (sweep.progress, sweep.done) == ("1/2", 0.5)


def test_parents_that_name_each_other_stand_at_the_top() -> None:
    circle = [row("a", "b"), row("b", "a"), row("c", "c")]
    assert {(each.name, depth) for each, depth in arrange(circle)} == {
        *(("a", 0), ("b", 0), ("c", 0)),
    }


def test_a_filter_keeps_what_is_above_and_below_a_match() -> None:
    assert [each.name for each in matching(FAMILY, "name:baseline")] == ["sweep", "one", "baseline"]
    assert [each.name for each in matching(FAMILY, "name:sweep")] == [
        *("sweep", "one", "two", "baseline"),
    ]


def test_rows_of_equal_value_stand_together_numbers_ascending() -> None:
    specs: list[dict[str, Any]] = [
        *({"lr": 0.5}, {"robust": {"lr": 0.05}}, {}, {"base": {"lr": 0.5}}, {"lr": 10}),
    ]
    rows = [row(f"r{number}", spec=spec) for number, spec in enumerate(specs)]
    assert grouping("words group:lr mode:robust") == "lr"
    assert grouping("mode:robust") == ""
    assert [(each.name, each.group) for each in grouped(rows, "lr")] == [
        ("r1", "lr 0.05"),
        ("r0", "lr 0.5"),
        ("r3", "lr 0.5"),
        ("r4", "lr 10"),
        ("r2", "lr –"),
    ]
    assert len(matching(rows, "group:lr")) == len(rows)
    tagged = [row("x", tags=("b",)), row("y", tags=("a",))]
    assert [each.group for each in grouped(tagged, "tag")] == ["tag a", "tag b"]


@pytest.mark.parametrize(
    ("name", "parent", "group", "shown"),
    [
        ("recipe=trades width=8 seed 1", "sweep", "", "trades 8 seed 1"),
        ("recipe=trades width=8 seed 1", "sweep", "recipe trades", "trades 8 seed 1"),
        ("recipe=trades width=8", "sweep", "lr 0.1", "lr 0.1  trades 8"),
        ("robust.attack.eps=4/255", "sweep", "", "4/255"),
        ("a=b", None, "", "a=b"),
        ("night", None, "recipe trades", "recipe trades  night"),
    ],
)
def test_a_point_of_a_sweep_shows_its_values(
    name: str, parent: str | None, group: str, shown: str
) -> None:
    lines = ListLines(120, 0, TERMINAL)
    assert lines._cell(row(name, parent, group=group), "name", 0.0) == shown
