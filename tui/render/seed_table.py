"""Rich tables of figures over seeds: means of a comparison, and trainings seed by seed."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import attack_names, cells, column_title, percent
from runs.seed_formats import RATES, mean_notes, mean_std, spread_note
from tui.render.plain_table import Fitting, plain_table
from tui.render.text import clean


def mean_comparison(data: dict[str, Any]) -> RenderableType:
    """The table of :func:`runs.seeds.mean_over_seeds`, each figure with its ±, and its notes.

    A column pair an attack where that has room, else, or with several ε, a line each.
    """
    several = any(len(cells(v)) > 1 for row in data["rows"] for v in row["attacks"].values())
    table = _long(data) if several else Fitting(_wide(data), _long(data))
    return Group(table, *_dim(mean_notes(data)))


def _dim(notes: list[str]) -> list[Text]:
    return [Text(clean(note, 1000), style="dim") for note in notes]


def _wide(data: dict[str, Any]) -> Table:
    names = attack_names(data)
    titles = [clean(column_title(name), 24) for name in names]
    kinds = [(f"{title}\n{kind} %", "right") for title in titles for kind in ("success", "robust")]
    table = plain_table(("model", "left"), ("accuracy\n%", "right"), *kinds)
    for row in data["rows"]:
        line = [clean(row["model"], 40), mean_std(row["accuracy"])]
        line += [mean_std(cells(row["attacks"][name])[0][rate]) for name in names for rate in RATES]
        table.add_row(*map(Text, line))
    return table


def _long(data: dict[str, Any]) -> Table:
    table = plain_table(
        ("model", "left"), ("attack", "left"), ("success %", "right"), ("robust %", "right")
    )
    for row in data["rows"]:
        model = Text(clean(row["model"], 40))
        table.add_row(model, Text("none", style="dim"), "", mean_std(row["accuracy"]))
        for name, value in row["attacks"].items():
            levels = cells(value)
            for cell in levels:
                title = clean(column_title(name), 24)
                if len(levels) > 1:
                    title += f", ε {format_budget(cell['eps'])}"
                table.add_row("", Text(title), *(mean_std(cell[rate]) for rate in RATES))
    return table


def trainings(data: dict[str, Any]) -> RenderableType:
    """The table of :func:`runs.seeds.trainings_over_seeds`: a line a seed, and their mean."""
    table = plain_table(
        ("run", "left"),
        ("seed", "right"),
        ("best clean\naccuracy %", "right"),
        ("best robust\nrobust accuracy %", "right"),
    )
    kinds = ("best_clean", "best_robust")
    for row in data["rows"]:
        figures = [percent(row[kind]) for kind in kinds]
        table.add_row(Text(row["run"]), str(row["seed"]), *figures)
    table.add_section()
    table.add_row("mean ± std", "", *(mean_std(data[kind]) for kind in kinds))
    notes = [
        f"{data['data']}, validation split (not that of the comparison), n = {data['n']} images",
        f"robust accuracy under {data['attack']}",
        spread_note(data["seeds"]),
    ]
    return Group(table, *_dim(notes))
