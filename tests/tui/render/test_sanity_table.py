"""The sanity panel: what needs action first, the rest in as many columns as fit."""

from typing import Any

import pytest
from rich.console import Console

from tui.render.sanity_table import SanityPanel


def check(name: str, verdict: str, value: float | None, **fields: Any) -> Any:
    return {"check": name, "verdict": verdict, "value": value, **fields}


GOOD = [
    check("pixels in [0, 1]", "pass", 0.0, unit="outside"),
    check("same input, same logits", "pass", 2.23e-8, unit="% of the largest"),
    check("transfer is weaker", "pass", -34.0, unit="points", advice="never shown"),
]
BAD = check("gradients", "fail", 0.5, model="Best clean", advice="do this")
WARNED = check("margin loss", "warn", 2.4, unit="points", model="Mine", advice="add --attack x")
SKIPPED = check("Square", "skipped", None, unit="points", advice="measured only with --sanity full")


def printed(checks: list[Any], width: int, *, terminal: bool = False) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, force_terminal=terminal)
    with console.capture() as shown:
        console.print(SanityPanel(checks))
    return shown.get().splitlines()


def test_failures_and_warnings_come_first_with_their_advice() -> None:
    assert printed([GOOD[0], SKIPPED, WARNED, GOOD[2], BAD], 60) == [
        "sanity: 1 failed, 1 warned, 2 passed, 1 skipped",
        "✗ expected: gradients; found 0.5",
        "  Best clean: do this",
        "! expected: margin loss; found 2.4 points",
        "  Mine: add --attack x",
        "✓ pixels in [0, 1] ··· 0 outside",
        "✓ transfer is weaker  −34 points",
        "– not checked: Square: measured only with --sanity full",
    ]


def test_a_failure_without_a_figure_says_only_what_was_expected() -> None:
    assert printed([check("gradients", "fail", None)], 60)[1:] == ["✗ expected: gradients"]


def test_a_wide_terminal_has_several_columns() -> None:
    narrow = printed(GOOD, 60)
    assert len(narrow) == 1 + len(GOOD)
    assert len({len(line) for line in narrow[1:]}) == 1  # the figures end below each other
    (line,) = printed(GOOD, 150)[1:]
    assert [part.split(" ·")[0].strip() for part in line.split("✓")[1:]] == [
        "pixels in [0, 1]  0 outside",
        "same input, same logits  2.23e−08 % of the largest",
        "transfer is weaker  −34 points",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_it_fits_and_no_advice_is_lost(width: int) -> None:
    lines = printed([*GOOD, BAD, WARNED, SKIPPED], width)
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    for told in ("do this", "add --attack x", "measured only with --sanity full"):
        assert told in words


def test_a_hostile_check_is_shown_and_not_obeyed() -> None:
    hostile = check("[red]a\x1b[31m\nb", "warn", 1.0, unit="\x1b]0;t\x07", advice="\x1b[2J")
    text = "\n".join(printed([hostile], 80, terminal=True))
    assert "[red]a·[31m·b" in text
    assert "\x1b]0" not in text
    assert "\x1b[2J" not in text


def test_no_checks() -> None:
    assert printed([], 80) == ["sanity: no checks"]
