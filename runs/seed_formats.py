"""The table of means over seeds as Markdown, LaTeX, CSV and JSON; see :mod:`runs.seeds`.

Writes text; no terminal here.
"""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from runs.formats import (
    DEFINITIONS,
    Table,
    as_json,
    attack_names,
    attack_notes,
    cells,
    latex_table,
    markdown_levels,
    markdown_table,
    percent,
)

RATES = ("success_rate", "robust_accuracy")


def mean_std(figure: dict[str, Any]) -> str:
    """``76.57 ± 0.31``; a dash for what is not known (the ± of a single seed), and how many seeds
    have a value where that is not all: ``76.57 ± 0.31 (2 of 3)``."""
    known, every = figure["n_seeds"], len(figure["values"])
    some = f" ({known} of {every})" if known < every else ""
    return f"{percent(figure['mean'])} ± {percent(figure['std'])}{some}"


def spread_note(seeds: Sequence[int]) -> str:
    """Which seeds, how many, and what ± is."""
    count = "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    listed = ", ".join(map(str, seeds))
    return f"mean ± sample standard deviation (divisor: number of seeds − 1) over {count}: {listed}"


def mean_notes(data: Table) -> list[str]:
    """What stands under every table of means: data, n, attacks, seeds, the definitions."""
    threat = data["threat_model"]
    trained, attacked = data["seeds"], data["evaluation_seeds"]
    if trained == attacked:
        seeds = f"{spread_note(trained)}, of training and evaluation alike"
    elif len(set(trained)) == 1 < len(trained):
        seeds = f"{spread_note(attacked)}, of the evaluation (training seed {trained[0]})"
    else:
        others = ", ".join(str(seed) for seed in dict.fromkeys(attacked))
        seeds = f"{spread_note(trained)}, of training (evaluation seed {others})"
    images = f"{threat['data']}, test split, n = {threat['n']} images for each seed"
    return [images, *attack_notes(data), seeds, DEFINITIONS]


def as_markdown(data: Table) -> str:
    """A GitHub table, and the notes as a list."""
    return markdown_table(attack_names(data), _body(data, markdown_levels), mean_notes(data))


def as_latex(data: Table) -> str:
    """A booktabs table; the notes are its caption's."""

    def levels(_: list[dict[str, Any]], texts: list[str]) -> str:
        return " / ".join(texts) or "–"

    return latex_table(attack_names(data), _body(data, levels), mean_notes(data))


def _body(data: Table, levels: Callable[[list[dict[str, Any]], list[str]], str]) -> list[list[str]]:
    body = []
    for row in data["rows"]:
        line = [row["model"], mean_std(row["accuracy"])]
        for name in attack_names(data):
            found = cells(row["attacks"][name]) if name in row["attacks"] else []
            line += [levels(found, [mean_std(cell[rate]) for cell in found]) for rate in RATES]
        body.append(line)
    return body


def as_csv(data: Table) -> str:
    """Long form: a line for each model × attack × ε, each rate as mean and standard deviation."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    figures = [f"{rate}_{part}" for rate in RATES for part in ("mean", "std")]
    of_the_model = ["model", "checkpoint", "n", "n_seeds", "accuracy_mean", "accuracy_std"]
    writer.writerow([*of_the_model, "attack", "eps", *figures])
    for row in data["rows"]:
        accuracy = row["accuracy"]
        start = [row["model"], row["checkpoint"], row["n"], accuracy["n_seeds"]]
        start += [accuracy["mean"], accuracy["std"]]
        for name, value in row["attacks"].items():
            for cell in cells(value):
                rates = [cell[rate][part] for rate in RATES for part in ("mean", "std")]
                writer.writerow([*start, name, cell["eps"], *rates])
    return stream.getvalue()


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
