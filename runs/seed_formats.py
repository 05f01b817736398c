"""The table of means over seeds as Markdown, LaTeX, CSV and JSON; see :mod:`runs.seeds`.

Writes text; no terminal here.
"""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal

from runs.footnotes import DEFINITIONS, attack_notes
from runs.formats import (
    as_json,
    attack_names,
    column_heads,
    latex_levels,
    latex_table,
    markdown_levels,
    markdown_table,
    percent,
)
from runs.seeds import Figure, MeanTable

RATES: tuple[Literal["success_rate", "robust_accuracy"], ...] = ("success_rate", "robust_accuracy")
PARTS: tuple[Literal["mean", "std"], ...] = ("mean", "std")


def mean_std(figure: Figure) -> str:
    """``76.57 ± 0.31``; a dash for an unknown part, such as the ± of a single seed.

    Where some seeds have no value, their number follows: ``76.57 ± 0.31 (2 of 3)``.
    """
    known, every = figure["n_seeds"], len(figure["values"])
    some = f" ({known} of {every})" if known < every else ""
    return f"{percent(figure['mean'])} ± {percent(figure['std'])}{some}"


def spread_note(seeds: Sequence[int]) -> str:
    """Which seeds, how many, and what ± is."""
    count = "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    listed = ", ".join(map(str, seeds))
    return f"mean ± sample standard deviation (divisor: number of seeds − 1) over {count}: {listed}"


def mean_notes(table: MeanTable) -> list[str]:
    """What stands under every table of means: data, n, attacks, seeds, the definitions."""
    threat = table["threat_model"]
    images = f"{threat['data']}, test split, n = {threat['n']} images for each seed"
    return [images, *attack_notes(threat), seeds_note(table), DEFINITIONS]


def seeds_note(table: MeanTable) -> str:
    """:func:`spread_note`, and whether the seeds are those of the training or of the evaluation."""
    trained, attacked = table["seeds"], table["evaluation_seeds"]
    if trained == attacked:
        return f"{spread_note(trained)}, of training and evaluation alike"
    if len(set(trained)) == 1 < len(trained):
        return f"{spread_note(attacked)}, of the evaluation (training seed {trained[0]})"
    others = ", ".join(str(seed) for seed in dict.fromkeys(attacked))
    return f"{spread_note(trained)}, of training (evaluation seed {others})"


def as_markdown(table: MeanTable) -> str:
    """A GitHub table, and the notes as a list."""
    heads = list(column_heads(table).values())
    return markdown_table(heads, _body(table, markdown_levels), mean_notes(table))


def as_latex(table: MeanTable) -> str:
    """A booktabs table; the notes are its caption."""
    body = _body(table, lambda _, texts: latex_levels(texts))
    return latex_table(list(column_heads(table).values()), body, mean_notes(table))


def _body(
    table: MeanTable, levels: Callable[[Sequence[float | None], Sequence[str]], str]
) -> list[list[str]]:
    body = []
    for row in table["rows"]:
        line = [row["model"], mean_std(row["accuracy"])]
        for name in attack_names(table["rows"]):
            cells = row["attacks"].get(name, [])
            budgets = [cell["eps"] for cell in cells]
            line += [levels(budgets, [mean_std(cell[rate]) for cell in cells]) for rate in RATES]
        body.append(line)
    return body


def as_csv(table: MeanTable) -> str:
    """Long form: a line for each model × attack × ε, each rate as mean and standard deviation."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    figures = [f"{rate}_{part}" for rate in RATES for part in PARTS]
    model_columns = ["model", "checkpoint", "n", "n_seeds", "accuracy_mean", "accuracy_std"]
    writer.writerow([*model_columns, "attack", "eps", *figures])
    for row in table["rows"]:
        accuracy = row["accuracy"]
        start = [
            *(row["model"], row["checkpoint"], row["n"], accuracy["n_seeds"]),
            *(accuracy["mean"], accuracy["std"]),
        ]
        for name, cells in row["attacks"].items():
            for cell in cells:
                rates = [cell[rate][part] for rate in RATES for part in PARTS]
                writer.writerow([*start, name, cell["eps"], *rates])
    return stream.getvalue()


FORMATS: dict[str, Callable[[MeanTable], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
