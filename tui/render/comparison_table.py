"""The comparison table as a Rich table, with its footnotes. Data in, renderables out."""

from rich.console import Group, RenderableType

from runs.footnotes import footnotes
from runs.formats import column_heads, percent
from runs.result_types import Interval, Row, Table
from tui.render.plain_table import dim_lines
from tui.render.rate_table import Level, ModelRates, Rate, rate_table


def comparison(table: Table) -> RenderableType:
    """The comparison table with its footnotes."""
    return Group(comparison_table(table), comparison_notes(table))


def comparison_table(table: Table) -> RenderableType:
    """The comparison table, each rate with its interval, without its footnotes."""
    return rate_table([model_rates(row) for row in table["rows"]], column_heads(table))


def model_rates(row: Row) -> ModelRates:
    """The figures of a row as texts, each rate with its interval."""
    return ModelRates(
        row["model"],
        _rate(row["accuracy"], row["accuracy_ci95"]),
        {
            name: [
                Level(
                    cell["eps"],
                    _rate(cell["success_rate"], cell["success_ci95"]),
                    _rate(cell["robust_accuracy"], cell["robust_ci95"]),
                )
                for cell in cells
            ]
            for name, cells in row["attacks"].items()
        },
    )


def comparison_notes(table: Table) -> RenderableType:
    """The footnotes of the comparison table: the threat model and the definitions."""
    return Group(*dim_lines(footnotes(table)))


def _rate(share: float | None, bounds: Interval | None) -> Rate:
    interval = f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else ""
    return Rate(percent(share), interval)
