"""Rich tables over seeds: the means of a comparison, and trainings seed by seed."""

from collections.abc import Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from runs.formats import column_heads, percent
from runs.seed_formats import mean_notes, mean_std, spread_note
from runs.seeds import MeanTable, SeedTable
from tui.render.plain_table import dim_lines, plain_table
from tui.render.rate_table import Level, ModelRates, Rate, rate_table

_BEST: tuple[Literal["best_clean", "best_robust"], ...] = ("best_clean", "best_robust")


def mean_comparison(table: MeanTable, others: Sequence[ModelRates] = ()) -> RenderableType:
    """The table of :func:`runs.seeds.mean_over_seeds`, each rate with its ±, and its notes.

    ``others`` are rows that stand below, under attacks of the table.
    """
    rows = [
        ModelRates(
            row["model"],
            Rate(mean_std(row["accuracy"])),
            {
                name: [
                    Level(
                        cell["eps"],
                        Rate(mean_std(cell["success_rate"])),
                        Rate(mean_std(cell["robust_accuracy"])),
                    )
                    for cell in cells
                ]
                for name, cells in row["attacks"].items()
            },
        )
        for row in table["rows"]
    ]
    heads = column_heads(table)
    return Group(rate_table([*rows, *others], heads), *dim_lines(mean_notes(table)))


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
    return Group(table, *dim_lines(notes))
