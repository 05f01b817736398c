"""What a reader sees at a glance: the best value, the tint of a value, a repeated checkpoint."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from runs.formats import Head
from tui.render.comparison_table import comparison_table, table_rates
from tui.render.palette import Palette, tint
from tui.render.rate_table import Level, ModelRates, Rate, low_rate_tables, rate_table

PALETTE = Palette(
    text="white", dim="grey50", faint="grey30", title="bold white", accent="blue", good="green",
    warn="yellow", bad="red", bar="blue", series=("white",),
)  # fmt: skip
HEADS = {"a": Head("Untargeted")}


def rate(share: float | None) -> Rate:
    if share is None:
        return Rate("–")
    low, high = max(100 * share - 2, 0), min(100 * share + 2, 100)
    return Rate(f"{100 * share:.2f}", f"{low:.1f}–{high:.1f}", share)


def model(name: str, *robust: float | None, repeated: bool = False, eps: Any = 8 / 255) -> Any:
    budgets = eps if isinstance(eps, list) else [eps] * len(robust)
    levels = [
        Level(one, rate(0.5), rate(share)) for one, share in zip(budgets, robust, strict=True)
    ]
    return ModelRates(name, rate(0.8), {"a": levels}, repeated)


def lines(table: Any, width: int = 200) -> list[list[Any]]:
    console = Console(width=width, force_terminal=True, color_system="truecolor")
    return console.render_lines(table, console.options, pad=False)


def styles(rows: list[ModelRates], width: int = 200) -> Iterator[tuple[str, str]]:
    """Each robust figure with its style, from above."""
    for line in lines(rate_table(rows, HEADS, PALETTE), width):
        figures = [segment for segment in line if "." in segment.text and "–" not in segment.text]
        if len(figures) == 3:  # accuracy, success, robust
            yield figures[-1].text.strip(), str(figures[-1].style)


@pytest.mark.parametrize(
    ("rows", "bold"),
    [
        ([("A", 0.1), ("B", 0.3), ("C", 0.2)], ["30.00"]),
        ([("A", 0.3), ("B", 0.3), ("C", 0.2)], ["30.00", "30.00"]),
        ([("A", 0.0), ("B", 0.0)], []),
        ([("A", 0.3)], []),
        ([("A", 0.3), ("B", None)], []),
    ],
)
def test_the_best_robust_accuracy_is_bold(rows: Any, bold: list[str]) -> None:
    found = styles([model(name, share) for name, share in rows])
    assert [figure for figure, style in found if "bold" in style] == bold


def test_a_repeated_checkpoint_is_dim_and_never_the_best() -> None:
    rows = [model("Baseline", 0.1), model("Clean", 0.3), model("Robust", 0.3, repeated=True)]
    assert list(styles(rows)) == [
        ("10.00", "yellow"),
        ("30.00", "bold green"),
        ("30.00", "grey50"),
    ]
    assert [style for _, style in styles(rows[1:])] == ["green", "grey50"]  # one model only
    *_, last, _ = lines(rate_table(rows, HEADS, PALETTE))  # below it the note on intervals
    assert {str(s.style) for s in last if s.text.strip(" ")} == {"grey50"}


def test_each_eps_of_a_curve_has_its_best_but_not_eps_0() -> None:
    budgets = [0.0, 2 / 255, 8 / 255]
    rows = [model("A", 0.9, 0.5, 0.1, eps=budgets), model("B", 0.7, 0.4, 0.2, eps=budgets)]
    shown = [
        (s.text.strip(), "bold" in str(s.style))
        for line in lines(rate_table(rows, HEADS, PALETTE))
        for s in line
        if s.text.strip() in ("90.00", "50.00", "10.00", "70.00", "40.00", "20.00")
    ]
    robust = [pair for pair in shown if pair[0] != "50.00" or pair[1]]  # success is 50.00 too
    assert [figure for figure, is_bold in robust if is_bold] == ["50.00", "20.00"]


@pytest.mark.parametrize(
    ("share", "style"),
    [
        *((0.0, "red"), (0.0999, "red"), (0.1, "yellow"), (0.3, "green"), (1.0, "green")),
        *((-1.0, "red"), (73.0, "green")),  # of a foreign file
    ],
)
def test_the_tint_goes_by_the_value(share: float, style: str) -> None:
    assert tint(share, PALETTE) == style


@pytest.mark.parametrize("width", [200, 60, 46, 40])
def test_the_decimals_of_a_column_stand_below_each_other(width: int) -> None:
    rows = [model("A", 1.0), model("B", 0.0123), model("C", 0.3)]
    text = ["".join(s.text for s in line) for line in lines(rate_table(rows, HEADS), width)]
    ends = {
        line.index(f"{figure}") + len(figure)
        for line in text
        for figure in ("100.00", "1.23", "30.00")
        if figure in line.split()
    }
    assert len(ends) == 1
    assert max(map(len, text)) <= width


@pytest.mark.parametrize("width", [200, 70])
def test_a_head_ends_above_its_values_and_no_two_figures_touch(width: int) -> None:
    heads = {"a": Head("Untargeted"), "b": Head("Targeted")}
    rows = [
        one._replace(attacks={**one.attacks, "b": one.attacks["a"]})
        for one in (model("A", 1.0), model("B", 0.0123))
    ]
    text = ["".join(s.text for s in line) for line in lines(rate_table(rows, heads), width)]
    head, first = text[1], next(line for line in text if line.startswith("A "))
    ends = [found.end() for found in re.finditer("%", head)]
    assert [first[:end].split()[-1] for end in ends] == ["80.00", *2 * ["50.00", "100.00"]]
    assert all(first[end - 1] != " " == (first[end : end + 1] or " ") for end in ends)
    assert all(len(gap) >= 2 for line in text for gap in re.findall(r"(?<=\d) +(?=\d)", line))


@pytest.mark.parametrize("width", [200, 40])
def test_clean_accuracy_is_called_so_in_the_column_of_robust_accuracies(width: int) -> None:
    rows = [model("A", 0.5, 0.3, eps=[1 / 255, 2 / 255])]
    text = ["".join(s.text for s in line) for line in lines(rate_table(rows, HEADS), width)]
    (line,) = [line for line in text if "80.00" in line]
    assert line.split()[:3] == ["A", "clean", "80.00"]


def test_intervals_are_named_where_there_are_any() -> None:
    told = "95 % intervals"
    with_them = lines(rate_table([model("A", 0.3)], HEADS))
    assert told in "".join(s.text for s in with_them[-1])
    bare = ModelRates("A", Rate("80.0 ± 0.1", share=0.8), {})
    assert told not in "".join(s.text for line in lines(rate_table([bare], {})) for s in line)


def test_a_long_title_is_wrapped_by_words() -> None:
    heads = {"a": Head("Against an ensemble of surrogates", ("L∞ 8/255", "20 steps"))}
    table = rate_table([model("A", 0.3)], heads)
    text = ["".join(s.text for s in line) for line in lines(table)]
    assert "…" not in "".join(text)
    assert "Against an ensemble of" in text[0]
    assert "surrogates" in text[1]
    assert "L∞ 8/255" in text[2]


@pytest.mark.parametrize("width", [200, 60])
def test_an_attack_at_work_says_how_far_it_is(width: int) -> None:
    blank: Any = dict.fromkeys(("success_rate", "success_ci95", "robust_accuracy"))
    cell = {"eps": 8 / 255, "robust_ci95": None, **blank}
    rows: Any = [
        {
            "model": "A", "accuracy": 0.8, "accuracy_ci95": (0.7, 0.9),
            "attacks": {"pgd-targeted": [{**cell, "progress": 0.34}]},
        },
        {
            "model": "B", "accuracy": None, "accuracy_ci95": None,
            "attacks": {"pgd-targeted": [{**cell, "progress": None}]},
        },
    ]  # fmt: skip
    table: Any = {"threat_model": {"data": "d", "n": 9, "attacks": []}, "rows": rows}
    segments = [s for line in lines(comparison_table(table, PALETTE), width) for s in line]
    styled = {s.text.strip(): str(s.style) for s in segments}
    assert styled["34 % done"] == styled["…"] == styled["·"] == "grey50"
    assert styled["80.00"] == "white"


def test_where_height_is_short_a_model_takes_one_line() -> None:
    rows = [model("A", 0.3), model("B", 0.2)]
    heights = [len(lines(table)) for table in low_rate_tables(rows, HEADS, PALETTE)]
    assert heights == [3 + 2, 3 + 2, 2 + 4, 2 + 4]
    for bare in list(low_rate_tables(rows, HEADS, PALETTE))[1::2]:
        assert not [s for line in lines(bare) for s in line if "–" in s.text]


def test_the_rows_of_a_table_know_which_are_repeated() -> None:
    row: Any = {"accuracy": 0.8, "accuracy_ci95": None, "attacks": {}}
    names = [("one", "clean"), ("one", "robust"), ("other", "clean"), ("other", "robust")]
    same = {"run": "one", "checkpoint": "robust", "model": "robust", "same_as": "clean", "epoch": 3}
    table: Any = {
        "threat_model": {},
        "rows": [{**row, "model": name, "run": run, "checkpoint": name} for run, name in names],
        "same_checkpoints": [same],
    }
    # the other training's best robust has the same name
    assert [one.is_dim for one in table_rates(table)] == [False, True, False, False]
