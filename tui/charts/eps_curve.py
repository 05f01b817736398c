"""Charts of robust accuracy over ε, from a comparison table with several ε.

Pure: takes a table, a width in cells and a palette. Knows no app and no terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from runs.budgets import format_budget
from runs.formats import column_title
from runs.result_types import Cell, Table
from tui.charts.braille import Curve
from tui.charts.plot import GUTTER, Cells, Plot, render_plot
from tui.charts.training_curves import SHAPES, Filling, Series, marker
from tui.render.palette import Palette
from tui.render.text import clean

HEIGHT = 14
"""Lines of a chart without its legend: title, eleven lines of curves, axis, labels.

With eleven lines the ticks at 0, 20, …, 100 % are two lines apart."""
TITLE = "robust accuracy %"

Points = Sequence[tuple[float, float | None]]
"""ε, ascending, in pixels of [0, 1], and robust accuracy in percent."""
Legend = Sequence[tuple[str, Sequence[Series]]]
"""The lines of a legend: each has a word, which may be empty, and series."""


@dataclass(frozen=True)
class EpsChart:
    """A chart, and the legend beneath it."""

    plot: Plot
    legend: Legend


@dataclass(frozen=True)
class _Model:
    """A row of the table, and its points under each attack that has several ε."""

    label: str
    number: int
    attacks: dict[str, Points]

    def series(self, label: str, attack: str, filling: Filling | None = None) -> Series:
        glyph = marker(self.number, filling or _filling(attack))
        return Series(label, Curve.of(self.attacks[attack]), self.number, glyph)


def eps_charts(table: Table) -> list[EpsChart]:
    """The charts of a comparison table; none where no attack has several ε.

    One chart for one model, and for up to three models under two attacks. Otherwise one chart for
    each attack and each eight models; a model has the same colour and marker in all of them.
    """
    models = _models(table)
    most = len(SHAPES["filled"])
    attacks = list(dict.fromkeys(attack for model in models for attack in model.attacks))
    if len(models) == 1:
        return [_of_one_model(models[0], part) for part in _parts(list(models[0].attacks), most)]
    if len(attacks) == 2 and len(models) <= 3:
        return [_of_two_attacks(models, attacks)]
    return [
        _chart(f"{TITLE}, {_title(attack)}", [("", [m.series(m.label, attack) for m in part])])
        for attack in attacks
        for part in _parts([m for m in models if attack in m.attacks], most)
    ]


def _filling(attack: str) -> Filling:
    """Untargeted is hollow, as robust accuracy is among a training's curves; all else filled."""
    return "hollow" if attack.endswith("untargeted") else "filled"


def _parts(whole: list[Any], size: int) -> list[list[Any]]:
    return [whole[n : n + size] for n in range(0, len(whole), size)]


def _of_one_model(model: _Model, attacks: Sequence[str]) -> EpsChart:
    lines = [
        Series(_title(attack), Curve.of(model.attacks[attack]), n, marker(n, _filling(attack)))
        for n, attack in enumerate(attacks)
    ]
    return _chart(f"{TITLE}, {model.label}", [("", lines)])


def _of_two_attacks(models: Sequence[_Model], attacks: Sequence[str]) -> EpsChart:
    """Each model has a shape and a colour; one attack is filled and the other hollow."""
    own = [_filling(attack) for attack in attacks]
    fillings: list[Filling] = ["filled", "hollow"] if own[0] == own[1] else own
    legend = [
        (_title(name), [m.series(m.label, name, filling) for m in models if name in m.attacks])
        for name, filling in zip(attacks, fillings, strict=True)
    ]
    return _chart(TITLE, legend)


def _chart(title: str, legend: Legend) -> EpsChart:
    series = [line for _, lines in legend for line in lines]
    measured = sorted({x for line in series for x in line.curve.xs})
    plot = Plot(
        title=title,
        series=series,
        x_label="ε",
        y_range=(0.0, 100.0),
        measured={x: format_budget(x) for x in measured},
        legend=False,
        empty="no image was evaluated",
    )
    return EpsChart(plot, legend)


def _models(table: Table) -> list[_Model]:
    names = [row["model"] for row in table["rows"]]
    models: list[_Model] = []
    for row in table["rows"]:
        attacks = {name: _points(cells) for name, cells in row["attacks"].items() if len(cells) > 1}
        if attacks:
            label = clean(row["model"], 24)
            if names.count(row["model"]) > 1:
                label += f" {clean(row.get('run') or '')[-4:]}"
            models.append(_Model(label, len(models), attacks))
    return models


def _points(cells: Sequence[Cell]) -> Points:
    rates = {cell["eps"]: cell["robust_accuracy"] for cell in cells if cell["eps"] is not None}
    return [(eps, None if rate is None else 100 * rate) for eps, rate in sorted(rates.items())]


def _title(attack: str) -> str:
    return clean(column_title(attack), 24)


def chart_lines(chart: EpsChart, width: int, palette: Palette) -> Cells:
    """A chart in lines of at most ``width`` cells, with its legend beneath."""
    return [
        *render_plot(chart.plot, width, HEIGHT, palette),
        *_legend(chart.legend, width, palette),
    ]


def _legend(legend: Legend, width: int, palette: Palette) -> Cells:
    """``targeted  ● Baseline  ■ Best clean``; entries that do not fit continue in the next line."""
    words = max(cell_len(word) for word, _ in legend)
    start = GUTTER + (words + 2 if words else 0)
    entries = [line for _, lines in legend for line in lines]
    column = max(cell_len(line.label) for line in entries) + 2
    across = max((width - start) // (column + 2), 1)
    drawn: Cells = []
    for word, lines in legend:
        for n, part in enumerate(_parts(list(lines), across)):
            head = f"{'':<{GUTTER}}{'' if n else word}"
            segments = [Segment(f"{head:<{start}}", Style.parse(palette.dim))]
            for line in part:
                padding = " " * (column - cell_len(line.label))
                segments.append(
                    Segment(f"{line.marker} ", Style.parse(palette.series_style(line.colour)))
                )
                segments.append(Segment(f"{line.label}{padding}", Style.parse(palette.text)))
            drawn.append(segments)
    return drawn
