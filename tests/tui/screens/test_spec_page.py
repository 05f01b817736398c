"""The page of a spec: values for a person, sections, two columns; and how specs differ."""

from typing import Any

import pytest

from runs.jsonfiles import flattened
from screen_driver import Home
from tui.render.palette import TERMINAL
from tui.screens.panes.spec_page import TWO_COLUMNS, differences, in_words, spec_page


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("mixed_clean", 1 / 3, "0.333333"),
        ("momentum", 0.0, "0"),
        ("seed", 123456789, "123456789"),
        ("compile", True, "yes"),
        ("share", False, "no"),
        ("name", None, "–"),
        ("epsilons", [0.0, 1 / 255, 0.5], "0, 1/255, 0.5"),
        ("attack.eps", 8 / 255, "8/255"),
        ("tags", [], "–"),
        ("name", "a\x1b[2J", "a·[2J"),
    ],
)
def test_values_are_written_for_a_person(path: str, value: Any, expected: str) -> None:
    assert in_words(path, value) == expected


def page(home: Home, width: int) -> list[str]:
    return [line.plain.rstrip() for line in spec_page(home.run("robust"), width, TERMINAL)]


def test_sections_are_parted_by_an_empty_line(fixed: Home) -> None:
    lines = page(fixed, 78)
    fields = lines[lines.index(next(line for line in lines if line.startswith("name "))) :]
    parts = [part.splitlines() for part in "\n".join(fields).split("\n\n")]
    assert [{line.split()[0].partition(".")[0] for line in part} for part in parts[1:]] == [
        {"attack"},
        {"validation"},
    ]
    assert not [line for line in parts[0] if "." in line.split()[0]]


def test_a_wide_page_has_two_columns_with_all_fields(fixed: Home) -> None:
    narrow, wide = page(fixed, TWO_COLUMNS - 1), page(fixed, TWO_COLUMNS)
    assert len(wide) < 0.7 * len(narrow)
    assert max(map(len, wide)) <= TWO_COLUMNS
    right = TWO_COLUMNS // 2 + 2
    columns = [*(line[: right - 4] for line in wide), *(line[right:] for line in wide)]
    fields = [line.split() for line in columns if line.strip()]
    for path, value in flattened(fixed.run("robust").raw_spec):
        assert [path, *in_words(path, value).split()] in fields


def test_specs_that_differ_in_the_last_digit_differ() -> None:
    one, other = {"lr": 0.1, "seed": 0}, {"lr": 0.1 + 1e-9, "seed": 0}
    assert differences([one, other]) == [("lr", ["0.1", "0.1"])]
    assert differences([one, one]) == []
    assert differences([one, {"seed": 0}]) == [("lr", ["0.1", ""])]
