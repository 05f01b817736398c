"""Robust accuracy over ε as a chart: its points are the data's, in a pipe and on the screen."""

import math
import time
from pathlib import Path
from typing import cast

import pytest

from advtui_process import Command
from fixed_home import EPSILONS, ROWS, add_eps_curve, build, eps_evaluation
from real_terminal import Terminal
from runs.formats import FORMATS
from runs.result_types import Table
from screen_driver import SIZES, Screen, covers, opened
from tui.charts.eps_curve import HEIGHT, EpsChart, chart_lines, eps_charts
from tui.charts.plot import GUTTER
from tui.charts.training_curves import MARKERS, SHAPES
from tui.render.palette import TERMINAL

ROWS_OF_CURVES = HEIGHT - 3
Rates = dict[float, float | None]


def table(models: dict[str, dict[str, Rates]]) -> Table:
    """As much of a comparison table as a chart reads; a rate of None is one of no images."""
    fields = {
        "rows": [
            {
                "model": model,
                "run": f"20261123-021220-robust-{n:04x}",
                "attacks": {
                    attack: [{"eps": eps, "robust_accuracy": rate} for eps, rate in rates.items()]
                    for attack, rates in attacks.items()
                },
            }
            for n, (model, attacks) in enumerate(models.items())
        ]
    }
    return cast(Table, fields)


def evaluation() -> Table:
    """The fixed home's attack run with several ε."""
    return cast(Table, eps_evaluation(dict.fromkeys(ROWS, "run")))


def drawn(chart: EpsChart, width: int = 80) -> list[str]:
    lines = ["".join(part.text for part in line) for line in chart_lines(chart, width, TERMINAL)]
    assert all(len(line) <= width for line in lines), lines
    return lines


def place(eps: float, rate: float, most: float, least: float, width: int) -> tuple[int, int]:
    """Line and column where a point belongs: a cell is four dots high and two wide.

    0 lies one dot above the lower edge of the last line, and 100 % so in the first line.
    """
    dots = 2 * (width - GUTTER) - 1
    column = math.floor((eps - least) / (most - least) * dots + 0.5) // 2
    row = (1 + math.floor(rate * (4 * ROWS_OF_CURVES - 4) + 0.5)) // 4
    return ROWS_OF_CURVES - row, GUTTER + column


@pytest.mark.parametrize("width", [48, 80, 120])
def test_the_points_stand_where_the_data_say(width: int) -> None:
    data = evaluation()
    (chart,) = eps_charts(data)
    lines = drawn(chart, width)
    markers = iter(line.marker for line in chart.plot.series)
    wanted: dict[tuple[int, int], set[str]] = {}
    for attack in ("pgd-targeted", "pgd-untargeted"):
        for row in data["rows"]:
            marker = next(markers)
            for cell in row["attacks"][attack]:
                eps, rate = cell["eps"], cell["robust_accuracy"]
                assert eps is not None
                assert rate is not None
                at = place(eps, rate, EPSILONS[-1], 0.0, width)
                wanted.setdefault(at, set()).add(marker)
    seen = {
        (n, column): glyph
        for n, line in enumerate(lines[: HEIGHT - 2])
        for column, glyph in enumerate(line)
        if glyph in MARKERS
    }
    assert seen.keys() == wanted.keys()
    assert all(seen[at] in wanted[at] for at in seen)
    assert set(seen.values()) == set("●■▲○□△")


def test_the_legend_tells_model_by_shape_and_attack_by_filling() -> None:
    (chart,) = eps_charts(evaluation())
    targeted, untargeted = drawn(chart)[HEIGHT:]
    assert " ".join(targeted.split()) == "Targeted ● Baseline ■ Best clean ▲ Best robust"
    assert " ".join(untargeted.split()) == "Untargeted ○ Baseline □ Best clean △ Best robust"
    colours = [line.colour for line in chart.plot.series]
    assert colours == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_axes_are_told_the_fields_way_at_true_positions(width: int) -> None:
    (chart,) = eps_charts(evaluation())
    lines = drawn(chart, width)
    rule, labels = lines[HEIGHT - 2], lines[HEIGHT - 1]
    told = labels[GUTTER:].split()
    assert labels.split()[0] == "ε"
    assert (told[0], told[-1]) == ("0", "32/255")
    assert {"8/255", "16/255"} < set(told)
    for label in told[1:-1]:
        eps = int(label.partition("/")[0]) / 255
        column = place(eps, 0.0, EPSILONS[-1], 0.0, width)[1]
        begin = labels.index(f" {label} ") + 1
        assert begin <= column < begin + len(label)
        assert rule[column] == "┴"
    heights = [line[:GUTTER].strip() for line in lines[1 : HEIGHT - 2]]
    assert [label for label in heights if label] == ["100", "80", "60", "40", "20", "0"]


def test_lines_that_lie_on_each_other_show_both_markers() -> None:
    same: Rates = {n / 255: 1 - n / 10 for n in range(5)}
    (chart,) = eps_charts(table({"A": {"fgsm": same, "mi-fgsm": same}}))
    curves = "".join(drawn(chart)[1 : HEIGHT - 2])
    assert curves.count("●") == 3
    assert curves.count("■") == 2


def test_one_model_is_told_by_its_attacks() -> None:
    rates: Rates = {0.0: 0.9, 8 / 255: 0.2}
    (chart,) = eps_charts(table({"Baseline": {"fgsm": rates, "apgd-ce": {**rates, 8 / 255: 0.1}}}))
    lines = drawn(chart)
    assert lines[0].strip() == "robust accuracy %, Baseline"
    assert lines[HEIGHT].split() == ["●", "FGSM", "■", "APGD-CE"]


def test_untargeted_is_hollow_in_every_chart() -> None:
    rates: Rates = {0.0: 0.9, 8 / 255: 0.2}
    both = dict.fromkeys(("pgd-untargeted", "pgd-targeted"), rates)
    (alone,) = eps_charts(table({"A": both}))
    assert {line.label: line.marker for line in alone.plot.series} == {
        "Untargeted": "○",
        "Targeted": "■",
    }
    (paired,) = eps_charts(table({"A": both, "B": both}))
    assert [line.marker for line in paired.plot.series] == ["○", "□", "●", "■"]
    untargeted, targeted = eps_charts(table({f"model {n}": both for n in range(8)}))
    assert "".join(line.marker for line in untargeted.plot.series) == SHAPES["hollow"]
    assert "".join(line.marker for line in targeted.plot.series) == SHAPES["filled"]


def test_many_lines_stand_in_a_chart_for_each_attack() -> None:
    rates: Rates = {0.0: 0.9, 8 / 255: 0.2}
    attacks = ("fgsm", "pgd-untargeted", "apgd-ce")
    charts = eps_charts(table({f"model {n}": dict.fromkeys(attacks, rates) for n in range(10)}))
    titles = [drawn(chart)[0].strip() for chart in charts]
    wanted = ("FGSM", "Untargeted", "APGD-CE")
    assert titles == [f"robust accuracy %, {name}" for name in wanted for _ in range(2)]
    for chart in charts:
        markers = [line.marker for line in chart.plot.series]
        assert len(set(markers)) == len(markers)
        told = " ".join(drawn(chart)[HEIGHT:])
        assert all(f"{line.marker} {line.label}" in told for line in chart.plot.series)
    shown = [line.label for chart in charts[:2] for line in chart.plot.series]
    assert shown == [f"model {n}" for n in range(10)]


def test_models_of_one_name_are_told_by_their_run() -> None:
    data = table({"A": {"fgsm": {0.0: 0.9, 0.1: 0.2}}, "B": {"fgsm": {0.0: 0.9, 0.1: 0.3}}})
    data["rows"][1]["model"] = "A"
    (chart,) = eps_charts(data)
    assert [line.label for line in chart.plot.series] == ["A 0000", "A 0001"]


def test_without_several_epsilons_there_is_no_chart() -> None:
    assert eps_charts(table({"A": {"fgsm": {8 / 255: 0.2}}})) == []
    assert eps_charts(table({})) == []
    assert eps_charts(table({"A": {}})) == []


@pytest.mark.parametrize(
    ("rates", "points"),
    [
        ({0.0: 0.9, 8 / 255: 0.1}, 2),
        ({0.0: 1.0, 8 / 255: 0.0}, 2),
        ({0.0: 0.5, 8 / 255: None, 16 / 255: 0.25}, 2),
        ({0.0: math.nan, 8 / 255: 0.25}, 1),
        ({0.0: None, 8 / 255: None}, 0),
        ({0.031: 0.5, 0.0310001: 0.1, 1.0: 0.0}, 3),
        ({0.031: 0.9, 0.0310001: 0.1}, 2),
    ],
)
@pytest.mark.parametrize("width", [1, 20, 36, 80, 200])
def test_few_points_or_none_are_drawn_as_they_are(rates: Rates, points: int, width: int) -> None:
    (chart,) = eps_charts(table({"A": {"fgsm": rates}}))
    assert len(chart.plot.series[0].curve.xs) == points
    lines = ["".join(p.text for p in line) for line in chart_lines(chart, width, TERMINAL)]
    if width < 36:
        return
    assert "".join(lines[1 : HEIGHT - 2]).count("●") == points
    assert ("no image was evaluated" in "".join(lines)) == (points == 0)


# As commands


@pytest.fixture
def curve(home: Path) -> str:
    """The id of an attack run with several ε, in the home."""
    return add_eps_curve(home, build(home, now=time.time()), now=time.time())


def has_chart(text: str) -> bool:
    return any("⠀" < glyph <= "⣿" for glyph in text)


def test_in_a_pipe_it_is_plain_text_of_80_columns(advtui: Command, curve: str) -> None:
    for done in (advtui("compare", curve), advtui("show", curve)):
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        order = ("at each ε/255", "  robust accuracy %\n", "success %", "Wilson")
        places = [done.stdout.index(words) for words in order]
        assert places == sorted(places)
        chart = done.stdout.partition("  robust accuracy %\n")[2].splitlines()
        assert has_chart("".join(chart[: HEIGHT - 3]))
        assert {len(line) for line in chart[: HEIGHT - 1]} == {80}
        assert "16/255" in chart[HEIGHT - 2]
        assert "○ Baseline" in chart[HEIGHT]


def test_what_is_pasted_or_parsed_has_no_chart(advtui: Command, curve: str) -> None:
    for words in (*(("compare", curve, "--format", name) for name in FORMATS), ("show", curve)):
        done = advtui(*words, *(["--json"] if words[0] == "show" else []))
        assert done.returncode == 0, done.stderr
        assert "61.90" in done.stdout or "0.619" in done.stdout
        assert not has_chart(done.stdout)


@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal_it_has_its_width_and_colours_unless_they_are_refused(
    home: Path, curve: str, monkeypatch: pytest.MonkeyPatch, *, no_color: bool
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # set where tests run in several processes
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(home, "compare", curve, size=(90, 40))
    try:
        terminal.wait_for("○ Baseline")
        rows = [terminal.screen.buffer[n] for n in range(40)]
    finally:
        terminal.kill()
    charts = [row for row in rows if any(row[n].data in "●■▲○□△" for n in range(GUTTER, 90))]
    colours = {
        row[n].fg for row in charts for n in range(90) if row[n].data in "●■▲○□△"
    }  # of the markers
    assert colours == ({"default"} if no_color else {"cyan", "brown", "green"})
    assert max(len(line.rstrip()) for line in terminal.text.splitlines() if "┈┈" in line) == 90


# On the screen


@pytest.mark.parametrize("size", SIZES)
@covers()
async def test_the_chart_stands_beside_the_table_or_beneath(
    home: Path, curve: str, size: tuple[int, int]
) -> Screen:
    async with opened(home, size) as screen:
        for page in ("run.page-table", "compare.table"):
            if page == "compare.table":
                screen.app.open_comparison([curve])
            else:
                screen.app.open_run(curve)
            await screen.settle()
            await screen.press(page)
            assert "robust accuracy % at each ε/255" in screen.text
            if size[0] < 100:
                await screen.press("page.page-down")  # by the lines of the overview
            else:
                assert "Targeted, ε 4/255" in screen.text
            lines = screen.text.splitlines()
            top = next(n for n, line in enumerate(lines) if "robust accuracy %" in line)
            assert has_chart("".join(lines[top : top + HEIGHT - 2]))
            assert "32/255" in lines[top + HEIGHT - 1]
            assert any("△ Best robust" in line for line in lines[top + HEIGHT :])
            await screen.press("escape")
    return screen
