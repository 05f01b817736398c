"""The table of a sweep: a row for each combination of its grid, over its seeds, the best first.

Reads the results of the points as they are now, so that it grows while the sweep works. It is
sorted by the robust accuracy on the validation split: no test image chooses a setting.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from runs.datasets import DATASETS
from runs.formats import latex_text, markdown_text, percent
from runs.headline import headline
from runs.result_types import Result
from runs.seed_formats import mean_std
from runs.seeds import Figure, figure
from runs.spec import StudySpec
from runs.store import Run
from runs.sweep_points import Point, points_of, run_ids, sweep_spec

FIGURES = {
    "best_robust": "best robust, robust %, validation",
    "best_clean": "best clean, accuracy %, validation",
    "test_accuracy": "accuracy %, test",
    "test_robust": "robust %, test",
}
"""The figures of a row, and their heads; those of the test split are of studies alone."""


class SweepRow(TypedDict):
    """One combination of the grid's values, over its seeds; shares in [0, 1]."""

    values: dict[str, Any]
    seeds: list[int | None]
    runs: list[str | None]
    """In the order of the seeds; None of a point that has no run yet."""
    states: list[str]
    best_robust: Figure
    """Robust accuracy of the best robust checkpoint on the validation split."""
    best_clean: Figure
    """Clean accuracy of the best clean checkpoint on the validation split."""
    test_accuracy: Figure
    """Of a study: of its best robust model on the test split."""
    test_robust: Figure
    """Of a study: the lowest robust accuracy of that model over the attacks."""


class SweepTable(TypedDict):
    """All combinations of a sweep."""

    sweep: str
    fields: list[str]
    data: str
    n: int
    """Validation images."""
    attack: str
    """Wording of the validation's attack; of the base, where points differ in it."""
    points: int
    completed: int
    rows: list[SweepRow]


class _Outcome(TypedDict):
    run: str | None
    state: str
    images: int
    figures: dict[str, float | None]


def sweep_table(sweep: Run) -> SweepTable:
    """The table of a sweep, as far as it has come.

    Raises:
        UserError: the run is no sweep, or its spec can't be read.
    """
    spec = sweep_spec(sweep)
    points, ids = points_of(sweep, spec), run_ids(sweep)
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(Point(point.values).key, []).append(point)
    outcomes = {point.key: _outcome(sweep, ids.get(point.key)) for point in points}
    rows = [_row(group, [outcomes[point.key] for point in group]) for group in groups.values()]
    rows.sort(key=_rank)
    base = spec.base.robust if isinstance(spec.base, StudySpec) else spec.base
    done = [one for one in outcomes.values() if one["state"] == "completed"]
    return {
        "sweep": sweep.id,
        "fields": list(dict.fromkeys(name for point in points for name in point.values)),
        "data": DATASETS[spec.base.data].title,
        "n": max((one["images"] for one in done), default=0),
        "attack": base.validation.describe(),
        "points": len(points),
        "completed": len(done),
        "rows": rows,
    }


def _rank(row: SweepRow) -> tuple[float, float]:
    """Best first; a row without robust accuracy after all others, then by clean accuracy."""
    return tuple(  # type: ignore[return-value]
        -1.0 * (mean if (mean := row[name]["mean"]) is not None else -1.0)
        for name in ("best_robust", "best_clean")
    )


def _row(points: Sequence[Point], outcomes: Sequence[_Outcome]) -> SweepRow:
    def over_seeds(name: str) -> Figure:
        return figure(one["figures"].get(name) for one in outcomes)

    return {
        "values": dict(points[0].values),
        "seeds": [point.seed for point in points],
        "runs": [one["run"] for one in outcomes],
        "states": [one["state"] for one in outcomes],
        "best_robust": over_seeds("best_robust"),
        "best_clean": over_seeds("best_clean"),
        "test_accuracy": over_seeds("test_accuracy"),
        "test_robust": over_seeds("test_robust"),
    }


def _outcome(sweep: Run, run_id: str | None) -> _Outcome:
    if run_id is None:
        return {"run": None, "state": "waiting", "images": 0, "figures": {}}
    run = Run(sweep.path.parent / run_id)
    result = run.result
    if result is None or result["state"] != "completed":
        return {"run": run_id, "state": run.state(), "images": 0, "figures": {}}
    figures: dict[str, float | None] = {}
    trained: Result | None = result
    if run.kind == "study":
        robust = result.get("children", {}).get("robust", "")
        trained = Run(sweep.path.parent / robust).result if robust else None
        if rows := result.get("rows"):
            shown = headline(rows[-1], result.get("threat_model"), run.data or "")
            figures = {"test_accuracy": rows[-1]["accuracy"], "test_robust": shown.robust}
    checkpoints = trained.get("checkpoints", {}) if trained is not None else {}
    for name, kept in checkpoints.items():
        if name in ("best_robust", "best_clean"):
            figures[name] = kept.get("value")
    images = trained.get("val_images", 0) if trained is not None else 0
    return {"run": run_id, "state": "completed", "images": images, "figures": figures}


def shown_figures(table: SweepTable) -> list[str]:
    """The names of the figures that any row has."""
    return [
        name
        for name in FIGURES
        if name in ("best_robust", "best_clean")
        or any(row[name]["n_seeds"] for row in table["rows"])  # type: ignore[literal-required]
    ]


def value_text(value: object) -> str:
    """A value of the grid as it is written on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def seeds_text(row: SweepRow) -> str:
    """How many seeds are done: ``3``, or ``1 of 3``."""
    done, every = row["states"].count("completed"), len(row["states"])
    return str(every) if done == every else f"{done} of {every}"


def notes(table: SweepTable) -> list[str]:
    """What stands under the table."""
    data = f"{table['data']}, validation split (not that of the comparison)"
    images = f", n = {table['n']} images" if table["n"] else ""
    attack = f"robust accuracy under {table['attack']}"
    spread = "mean ± sample standard deviation over the seeds (divisor: number of seeds − 1)"
    done = f"{table['completed']} of {table['points']} points completed"
    return [data + images, attack, spread, done]


def cells(table: SweepTable) -> tuple[list[str], list[list[str]]]:
    """The heads and the lines of the table, as texts."""
    names = shown_figures(table)
    heads = [*table["fields"], "seeds", *(FIGURES[name] for name in names)]
    body = [
        [
            *(value_text(row["values"].get(field, "")) for field in table["fields"]),
            seeds_text(row),
            *(figure_text(row[name]) for name in names),  # type: ignore[literal-required]
        ]
        for row in table["rows"]
    ]
    return heads, body


def figure_text(shown: Figure) -> str:
    """``76.57 ± 0.31``; of a single seed ``76.57``; a dash where nothing is known."""
    if len(shown["values"]) == 1:
        return percent(shown["mean"])
    return mean_std(shown)


def as_markdown(table: SweepTable) -> str:
    """A GitHub table, and the notes as a list."""
    heads, body = cells(table)
    marks = ["---"] * len(table["fields"]) + ["---:"] * (len(heads) - len(table["fields"]))
    lines = [[*map(markdown_text, heads)], marks, *([*map(markdown_text, line)] for line in body)]
    listed = [f"- {markdown_text(note)}" for note in notes(table)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *listed]) + "\n"


def as_latex(table: SweepTable) -> str:
    """A booktabs table; the notes are its caption."""
    heads, body = cells(table)
    columns = "l" * len(table["fields"]) + "r" * (len(heads) - len(table["fields"]))
    lines = [" & ".join(map(latex_text, line)) + r" \\" for line in (heads, *body)]
    note = latex_text(" ".join(f"{line}." for line in notes(table)))
    text = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {lines[0]}",
        r"    \midrule",
        *(f"    {line}" for line in lines[1:]),
        r"    \bottomrule",
        r"  \end{tabular}",
        rf"  \caption{{{note}}}",
        r"\end{table}",
    ]
    return "\n".join(text) + "\n"


def as_csv(table: SweepTable) -> str:
    """A line for each combination, each figure as mean and standard deviation, shares of 1."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    parts = [f"{name}_{part}" for name in FIGURES for part in ("mean", "std")]
    writer.writerow([*table["fields"], "seeds", "completed", *parts])
    for row in table["rows"]:
        figures: Mapping[str, Any] = row
        cells = [figures[name][part] for name in FIGURES for part in ("mean", "std")]
        values = [row["values"].get(field) for field in table["fields"]]
        done = row["states"].count("completed")
        writer.writerow([*values, len(row["seeds"]), done, *cells])
    return stream.getvalue()


def as_json(table: SweepTable) -> str:
    """The table as data, indented."""
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[SweepTable], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
