"""Rich tables over seeds: the means of a comparison, and trainings seed by seed."""

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from runs.footnotes import threat_note
from runs.formats import column_heads, percent
from runs.seed_formats import mean_notes, mean_std, seeds_note, spread_note
from runs.seeds import Figure, MeanTable, SeedTable
from tui.render.eps_table import EpsTable
from tui.render.lines import Line, lines_of
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import Notes, plain_table
from tui.render.rate_table import Level, ModelRates, Rate, has_several_levels, rate_table
from tui.render.table_notes import Fold, note_lines

_BEST: tuple[Literal["best_clean", "best_robust"], ...] = ("best_clean", "best_robust")


def mean_comparison(table: MeanTable) -> RenderableType:
    """The table of :func:`runs.seeds.mean_over_seeds`, each rate with its ±, and its notes."""
    return Group(_mean_table(table), Text(), Notes(mean_notes(table)))


def mean_lines(
    table: MeanTable, others: Sequence[ModelRates], fold: Fold, width: int, palette: Palette
) -> Iterator[Line]:
    """The same as lines, with ``others`` as rows below, under attacks of the table."""
    yield from lines_of(_mean_table(table, others, palette), width)
    yield Text()
    standing = [threat_note(table["threat_model"]), seeds_note(table)]
    yield from note_lines(standing, mean_notes(table), fold, width, palette)


def _mean_table(
    table: MeanTable, others: Sequence[ModelRates] = (), palette: Palette = TERMINAL
) -> RenderableType:
    """The table; with several ε below an overview of the mean robust accuracies."""
    rows = [
        ModelRates(
            row["model"],
            _rate(row["accuracy"]),
            {
                name: [
                    Level(cell["eps"], _rate(cell["success_rate"]), _rate(cell["robust_accuracy"]))
                    for cell in cells
                ]
                for name, cells in row["attacks"].items()
            },
        )
        for row in table["rows"]
    ]
    shown, heads = [*rows, *others], column_heads(table)
    rates = rate_table(shown, heads, palette)
    if not has_several_levels(shown):
        return rates
    return Group(EpsTable(shown, heads, palette), Text(), rates)


def _rate(figure: Figure) -> Rate:
    return Rate(mean_std(figure), share=figure["mean"])


def trainings(data: SeedTable) -> RenderableType:
    """The table of :func:`runs.seeds.trainings_over_seeds`: a line for each seed, then the mean."""
    table = plain_table(
        ("run", "left"),
        ("seed", "right"),
        ("best clean\naccuracy %", "right"),
        ("best robust\nrobust accuracy %", "right"),
    )
    for row in data["rows"]:
        rates = [percent(row[checkpoint]) for checkpoint in _BEST]
        table.add_row(Text(row["run"]), str(row["seed"]), *rates)
    table.add_section()
    table.add_row("mean ± std", "", *(mean_std(data[checkpoint]) for checkpoint in _BEST))
    notes = [
        f"{data['data']}, validation split (not that of the comparison), n = {data['n']} images",
        f"robust accuracy under {data['attack']}",
        spread_note(data["seeds"]),
    ]
    return Group(table, Text(), Notes(notes))
