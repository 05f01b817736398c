"""The overview of robust accuracy over ε: values, styles, heads, and what fits."""

from typing import Any

import pytest
from rich.console import Console

from runs.formats import Head
from tui.render.eps_table import EpsTable
from tui.render.palette import Palette
from tui.render.rate_table import Level, ModelRates, Rate

PALETTE = Palette(
    text="white", dim="grey50", faint="grey30", title="bold white", accent="blue", good="green",
    warn="yellow", bad="red", bar="blue", series=("white",),
)  # fmt: skip
HEADS = {"t": Head("Targeted"), "u": Head("Untargeted")}
SEVEN = [n / 255 for n in (0, 1, 2, 4, 8, 16, 32)]


def model(name: str, shares: list[float | None], eps: list[float]) -> ModelRates:
    levels = [
        Level(one, Rate("…"), Rate("34 % done") if share is None else Rate("", "", share))
        for one, share in zip(eps, shares, strict=True)
    ]
    return ModelRates(name, Rate("80.00", "", 0.8), {"t": levels, "u": levels})


def lines(rows: list[ModelRates], width: int) -> list[list[Any]]:
    console = Console(width=width, force_terminal=True, color_system="truecolor")
    return console.render_lines(EpsTable(rows, HEADS, PALETTE), console.options, pad=False)


def text(rows: list[ModelRates], width: int = 80) -> list[str]:
    return ["".join(s.text for s in line).rstrip() for line in lines(rows, width)]


def test_seven_eps_fit_into_a_small_terminal() -> None:
    shares: list[float | None] = [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 1.0]
    title, head, _, targeted, untargeted = text([model("Best robust", shares, SEVEN)], 78)
    assert title.endswith("ε/255")
    assert head.split() == ["model", "attack", "clean", "0", "1", "2", "4", "8", "16", "32"]
    figures = ["80.0", "70.0", "60.0", "50.0", "40.0", "30.0", "100.0"]
    assert targeted.split() == ["Best", "robust", "Targeted", "80.0", *figures]
    assert untargeted.split() == ["Untargeted", *figures]


@pytest.mark.parametrize("width", [44, 60, 80])
def test_where_they_do_not_fit_the_table_goes_on_below(width: int) -> None:
    eps = [n / 255 for n in range(1, 13)]
    shown = text([model("a long name: Best robust", [n / 100 for n in range(12)], eps)], width)
    assert max(map(len, shown)) <= width
    heads = [line.split("clean")[1].split() for line in shown if line.startswith("model")]
    assert [title for head in heads for title in head] == [str(n) for n in range(1, 13)]
    assert sum(line.count("11.0") for line in shown) == 2


def test_other_eps_are_written_out() -> None:
    title, head, *_ = text([model("A", [0.5, 0.4], [0.25, 0.5])])
    assert title.endswith("at each ε")
    assert head.split()[3:] == ["0.25", "0.5"]


def test_values_are_tinted_and_the_best_is_bold() -> None:
    rows = [model("A", [0.5, 0.05], SEVEN[1:3]), model("B", [0.2, 0.01], SEVEN[1:3])]
    styled = {s.text.strip(): str(s.style) for line in lines(rows, 80) for s in line}
    assert styled["50.0"] == "bold green"
    assert styled["5.0"] == "bold red"
    assert styled["20.0"] == "yellow"
    assert styled["1.0"] == "red"


def test_what_is_to_come_and_what_was_not_evaluated() -> None:
    shown = text([model("A", [0.5, None], SEVEN[1:3]), model("B", [0.3], [2 / 255])])
    assert shown[3].split() == ["A", "Targeted", "80.0", "50.0", "…"]
    assert shown[5].split() == ["B", "Targeted", "80.0", "–", "30.0"]


def test_attacks_at_one_eps_are_left_to_the_table_of_rates() -> None:
    curve, other = model("A", [0.5, 0.4], SEVEN[1:3]), model("B", [0.3], [2 / 255])
    one = curve._replace(attacks={**curve.attacks, "s": other.attacks["t"]})
    bare = ModelRates("C", Rate("·"), {})
    heads = {"s": Head("Targeted", ("L2 0.5",)), **HEADS}
    console = Console(width=80)
    with console.capture() as shown:
        console.print(EpsTable([one, bare, other._replace(attacks={"s": []})], heads))
    rows = [line.split() for line in shown.get().splitlines()[3:]]
    assert rows == [["A", "Targeted", "80.0", "50.0", "40.0"], ["Untargeted", "50.0", "40.0"]]
    both = {"t": Head("Targeted", ("L∞ several ε",)), "u": Head("Targeted", ("L2 several ε",))}
    with console.capture() as shown:
        console.print(EpsTable([curve], both))
    assert "Targeted, L∞ several ε" in shown.get()
