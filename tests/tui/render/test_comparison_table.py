"""The comparison table at every width."""

from typing import Any

import pytest
from rich.console import Console

from runs.results import attack_cell, row, table
from tui.render.comparison_table import comparison, comparison_table


def test_a_hostile_model_name_is_shown_and_not_obeyed() -> None:
    hostile = "[/foo][@click=app.quit]x\x1b]0;t\x07"
    cell = attack_cell(eps=0.1, n=10, correct=8, successes=3, robust=5)
    one = row(model=hostile, run="r", checkpoint="last", n=10, correct=8, attacks={"pgd": [cell]})
    console = Console(width=140, markup=False, force_terminal=False)
    with console.capture() as shown:
        console.print(comparison(table({"data": "d", "n": 10, "seed": 0, "attacks": []}, [one])))
    assert "[/foo][@click=app.quit]x·]0;t·" in shown.get()


@pytest.mark.parametrize(
    ("attacks", "width", "is_long"),
    [(2, 80, False), (3, 80, True), (7, 100, True), (7, 200, False)],
)
def test_no_figure_of_the_table_is_ever_cut(attacks: int, width: int, is_long: bool) -> None:
    """Many attacks in a narrow terminal: a line each, instead of columns without room."""
    cells: dict[str, Any] = {
        f"pgd-attack{n}": attack_cell(eps=0.03, n=1000, correct=1000, successes=900 + n, robust=n)
        for n in range(attacks)
    }
    levels = {name: [cell] for name, cell in cells.items()}
    one = row(model="Best robust", run="r", checkpoint="last", n=1000, correct=1000, attacks=levels)
    console = Console(width=width)
    with console.capture() as shown:
        console.print(comparison(table({"data": "d", "n": 1000, "seed": 0, "attacks": []}, [one])))
    told = shown.get()
    assert "…" not in told
    for cell in cells.values():
        assert f"{100 * cell['success_rate']:.2f}" in told
        low, high = cell["success_ci95"]
        assert f"{100 * low:.1f}–{100 * high:.1f}" in told
    assert ("attack  " in told) == is_long


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_eps_and_no_figure_of_a_curve_is_ever_cut(width: int) -> None:
    budgets = [0.0, 1 / 255, 16 / 255, 0.5]
    levels = [
        attack_cell(
            eps=eps, n=10_000, correct=9780, successes=2000 + 300 * n, robust=7780 - 300 * n
        )
        for n, eps in enumerate(budgets)
    ]
    one = row(
        model="Best robust",
        run="r",
        checkpoint="last",
        n=10_000,
        correct=9780,
        attacks={"pgd-untargeted": levels, "apgd-targeted": levels},
    )
    console = Console(width=width)
    with console.capture() as shown:
        console.print(comparison_table(table({"data": "d", "n": 1, "attacks": []}, [one])))
    told = shown.get()
    assert "…" not in told
    words = told.split()
    assert [words[n + 1] for n, word in enumerate(words) if word == "ε"] == 2 * [
        "0",
        "1/255",
        "16/255",
        "0.5",
    ]
    for level in levels:
        assert words.count(f"{100 * (level['success_rate'] or 0):.2f}") == 2
        low, high = level["robust_ci95"] or (0.0, 0.0)
        assert words.count(f"{100 * low:.1f}–{100 * high:.1f}") == 2
