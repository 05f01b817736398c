"""The list of runs as ``advtui runs`` prints it: its columns at every width, colours and pipes."""

import re
import time
from typing import Any

import pytest
from rich.console import Console

from tui.render.run_table import RunList

ID = "20261126-042553-baseline-bb03"


def row(**fields: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "id": ID,
        "name": "a long night with the largest of all models",
        "state": "running",
        "place": "",
        "warnings": [],
        "created": time.time() - 75,
        "parent": None,
        "data": "cifar100",
        "epochs": 30,
        "tags": ["night"],
        "metrics": {"epoch": 8},
        "working_seconds": 60.0,
        "figures": {"clean": 0.412, "robust": 0.05, "split": "validation", "at": ""},
    }
    return {**usual, **fields}


TEST = {"clean": 0.5, "robust": 0.25, "split": "test", "at": "16/255"}
QUEUED = row(state="queued", place="2nd, behind “the other long run of tonight”", parent="study")


def shown(rows: list[dict[str, Any]], width: int, *, terminal: bool = True) -> str:
    console = Console(width=width, markup=False, highlight=False, force_terminal=terminal)
    with console.capture() as captured:
        console.print(RunList(rows))
    return captured.get()


def plain(rows: list[dict[str, Any]], width: int) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, force_terminal=True)
    lines = console.render_lines(RunList(rows), console.options, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120, 140, 200])
def test_no_id_is_cut_and_no_row_is_wrapped(width: int) -> None:
    lines = plain([row(), QUEUED, row(figures=TEST, metrics={})], width)
    assert [ID in line for line in lines] == [False, False, True, True, True]
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (46, ["id", "state"]),
        (62, ["id", "state", "robust"]),
        (80, ["id", "state", "clean", "robust", "age"]),
        (124, ["id", "state", "name", "data", "epoch", "clean", "robust", "age"]),
        (200, ["id", "state", "name", "data", "epoch", "clean", "robust", "took", "age"]),
    ],
)
def test_a_wide_terminal_shows_more(width: int, columns: list[str]) -> None:
    head = plain([row(), row(figures=TEST)], width)[0]
    assert head.replace(" %", "").split() == columns


def test_a_wide_terminal_shows_the_whole_name() -> None:
    assert "a long night with the largest of all models #night" in shown([row()], 200)
    assert "behind “the other long run of tonight”" in shown([QUEUED], 240)


def test_colours_follow_state_split_and_value() -> None:
    text = shown([row(), row(state="failed", figures=TEST)], 200)
    assert "\x1b[36m● running" in text
    assert "\x1b[31m✗ failed" in text
    assert re.search(r"\x1b\[2m *41\.2v", text)  # of the validation split
    assert "\x1b[33m25.0  @16/255" in text


def test_a_pipe_has_no_colours_and_always_the_same_columns() -> None:
    text = shown([row(), QUEUED], 140, terminal=False)
    assert "\x1b" not in text
    assert "took" not in text
    assert shown([row()], 140, terminal=False).split("\n")[0].split()[:3] == ["id", "state", "name"]


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    text = shown([row(name="\x1b]0;t\x07[red]", tags=["a\nb"])], 200)
    assert "·]0;t·[red] #a·b" in text
