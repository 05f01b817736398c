"""The comparison table as a Rich table, with its footnotes. Data in, renderables out."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import attack_names, cells, column_title, footnotes, percent
from tui.render.plain_table import Fitting, plain_table
from tui.render.text import clean


def comparison(data: dict[str, Any]) -> RenderableType:
    """The comparison table with its footnotes."""
    return Group(comparison_table(data), comparison_notes(data))


def comparison_table(data: dict[str, Any]) -> RenderableType:
    """The comparison table, each figure over its interval, without its footnotes.

    A column pair an attack where that has room, else, or with several ε, a line each.
    """
    several = any(len(cells(v)) > 1 for row in data["rows"] for v in row["attacks"].values())
    return _long(data) if several else Fitting(_wide(data), _long(data))


def comparison_notes(data: dict[str, Any]) -> RenderableType:
    """What stands under the comparison table: the threat model and the definitions."""
    return Group(*(Text(clean(note, 1000), style="dim") for note in footnotes(data)))


def _wide(data: dict[str, Any]) -> Table:
    names = attack_names(data)
    table = plain_table(("model", "left"), ("accuracy\n%", "right"))
    for name in names:
        title = clean(column_title(name), 24)
        table.add_column(Text(f"{title}\nsuccess %"), justify="right")
        table.add_column(Text(f"{title}\nrobust %"), justify="right")
    for row in data["rows"]:
        line: list[RenderableType] = [
            Text(clean(row["model"], 40)),
            _figure(row["accuracy"], row["accuracy_ci95"]),
        ]
        for name in names:
            found = cells(row["attacks"][name]) if name in row["attacks"] else []
            for kind, bounds in _KINDS:
                line.append(_figure(found[0][kind], found[0][bounds]) if found else Text("–"))
        table.add_row(*line)
    return table


_KINDS = (("success_rate", "success_ci95"), ("robust_accuracy", "robust_ci95"))


def _long(data: dict[str, Any]) -> Table:
    table = plain_table(
        ("model", "left"), ("attack", "left"), ("success %", "right"), ("robust %", "right")
    )
    for row in data["rows"]:
        model = Text(clean(row["model"], 40))
        table.add_row(
            model, Text("none", style="dim"), "", _beside(row["accuracy"], row["accuracy_ci95"])
        )
        for name in row["attacks"]:
            found = cells(row["attacks"][name])
            for cell in found:
                title = clean(column_title(name), 24)
                if len(found) > 1:
                    title += f", ε {format_budget(cell['eps'])}"
                figures = [_beside(cell[kind], cell[bounds]) for kind, bounds in _KINDS]
                table.add_row("", Text(title), *figures)
    return table


def _beside(value: float | None, bounds: list[float] | None) -> Text:
    figure = Text(percent(value))
    if bounds:
        figure.append(f"  {f'{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}':>10}", style="dim")
    return figure


def _figure(value: float | None, bounds: list[float] | None) -> Text:
    figure = Text(percent(value))
    if bounds:
        figure.append(f"\n{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}", style="dim")
    return figure
