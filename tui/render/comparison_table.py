"""The comparison table as a Rich table, with its footnotes. Data in, renderables out."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from runs.corruptions import mean_of
from runs.footnotes import footnotes
from runs.formats import column_heads, percent
from runs.result_types import Cell, Interval, Row, Table
from runs.same_checkpoint import repeats_another
from tui.render.eps_table import EpsTable
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import Fitting, Notes
from tui.render.rate_table import (
    Level,
    ModelRates,
    Rate,
    has_several_levels,
    low_rate_tables,
    rate_table,
)

_WAITS, _AT_WORK = "·", "…"
"""A figure to come: of an attack that waits, and of one at work."""


def comparison(table: Table, palette: Palette = TERMINAL) -> RenderableType:
    """The comparison table with its footnotes."""
    return Group(comparison_table(table, palette), Text(), Notes(footnotes(table), palette))


def comparison_table(
    table: Table, palette: Palette = TERMINAL, others: Sequence[ModelRates] = ()
) -> Fitting:
    """The comparison table, each rate with its interval, without its footnotes.

    ``others`` are rows below, under attacks of the table.
    """
    fills = any(map(_is_live, table["rows"]))
    rows = [*table_rates(table), *others]
    return rate_table(rows, column_heads(table), palette, fills=fills)


def eps_overview(table: Table, palette: Palette = TERMINAL) -> EpsTable | None:
    """Robust accuracy over ε, which stands above a table with several ε; None above any other."""
    rows = table_rates(table)
    return EpsTable(rows, column_heads(table), palette) if has_several_levels(rows) else None


def short_table(table: Table, palette: Palette = TERMINAL) -> RenderableType:
    """The comparison table in little room: a line for each row, without footnotes.

    With several ε only robust accuracy over ε.
    """
    overview = eps_overview(table, palette)
    if overview is not None:
        return overview
    return Fitting(*low_rate_tables(table_rates(table), column_heads(table), palette))


def table_rates(table: Table) -> list[ModelRates]:
    """The figures of a table's rows as texts; of a live run also how far its attacks are."""
    is_repeated = repeats_another(table)
    return [_model_rates(row, is_dim=is_repeated(row)) for row in table["rows"]]


def _model_rates(row: Row, *, is_dim: bool = False) -> ModelRates:
    """The figures of a row as texts, each rate with its interval."""
    accuracy = _rate(row["accuracy"], row["accuracy_ci95"])
    if row["accuracy"] is None and _is_live(row):
        accuracy = Rate(_WAITS)
    corrupted = mean_of(row)
    return ModelRates(
        row["model"],
        accuracy,
        {name: [_level(cell) for cell in cells] for name, cells in row["attacks"].items()},
        is_dim,
        corrupted=None if corrupted is None else _rate(corrupted, None),
    )


def _is_live(row: Row) -> bool:
    """Whether an attack on the model is at work or to come."""
    return any("progress" in cell for cells in row["attacks"].values() for cell in cells)


def _level(cell: Cell) -> Level:
    if "progress" not in cell:
        return Level(
            cell["eps"],
            _rate(cell["success_rate"], cell["success_ci95"]),
            _rate(cell["robust_accuracy"], cell["robust_ci95"]),
        )
    share = cell["progress"]
    if share is None:
        return Level(cell["eps"], Rate(_WAITS), Rate(_WAITS))
    return Level(cell["eps"], Rate(_AT_WORK), Rate(f"{100 * share:.0f} % done"))


def _rate(share: float | None, bounds: Interval | None) -> Rate:
    interval = f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else ""
    return Rate(percent(share), interval, share)
