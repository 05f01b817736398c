"""The sections of a report with figures: table, paired tests, curves, classes, sanity panel."""

import math
from collections.abc import Iterator, Sequence

from runs.budgets import format_budget
from runs.corruptions import corruption_note
from runs.errors import NotFoundError
from runs.footnotes import (
    CAPTION,
    attack_notes,
    generated_notes,
    images_note,
    network_notes,
    pairs_of_different,
    same_notes,
    source_notes,
)
from runs.formats import column_heads, interval, percent
from runs.outcomes import FILE, Outcomes, per_class
from runs.result_types import Interval, Table, Verdict
from runs.snapshot import read_snapshot
from runs.store import Run
from tui.report.charts import Line, Point, line_chart
from tui.report.content import Content, label
from tui.report.html import Column, Html, joined, listing, section, table, tag


def result(content: Content) -> Html | None:
    """The comparison table with its intervals, and the paired tests."""
    data = content.table
    if data is None:
        return None
    heads = column_heads(data)
    columns = [Column("model"), Column("accuracy %", True)]
    for head in heads.values():
        columns += [Column(f"{head.line}: {figure} %", True) for figure in ("success", "robust")]
    rows = []
    for row in data["rows"]:
        cells: list[object] = [row["model"], _rate(row["accuracy"], row["accuracy_ci95"])]
        for name in heads:
            found = row["attacks"].get(name, [])
            eps = [cell["eps"] if len(found) > 1 else None for cell in found]
            success = [_rate(cell["success_rate"], cell["success_ci95"]) for cell in found]
            robust = [_rate(cell["robust_accuracy"], cell["robust_ci95"]) for cell in found]
            cells += [_levels(eps, success), _levels(eps, robust)]
        rows.append(cells)
    notes = [images_note(data["threat_model"]), *same_notes(data), *data.get("notes", []), CAPTION]
    whole = table(columns, rows, "Accuracy and attack success, in percent")
    return section("result", "Result", whole, listing(notes), _paired(data))


def _rate(value: float | None, bounds: Interval | None) -> Html:
    return joined(
        [tag("b", percent(value)), tag("span", interval(bounds), class_="range-text")], " "
    )


def _levels(budgets: Sequence[float | None], texts: Sequence[Html]) -> Html:
    lines = [
        tag("div", None if eps is None else f"ε {format_budget(eps)}: ", text)
        for eps, text in zip(budgets, texts, strict=True)
    ]
    return joined(lines) if lines else Html("–")


def _paired(data: Table) -> Html | None:
    pairs = pairs_of_different(data)
    if not pairs:
        return None
    rows = []
    for pair in pairs:
        low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in pair["ci95"])
        p = "< 0.001" if pair["p"] < 0.001 else f"{pair['p']:.3f}"
        points = f"{100 * (pair['difference'] or 0):.1f}"
        rows.append(
            [
                f"{pair['one']} – {pair['other']}",
                pair["attack"],
                points,
                f"{low} to {high}",
                f"{pair['only_one']} : {pair['only_other']}",
                p,
            ]
        )
    columns = [
        Column("models"),
        Column("attack"),
        Column("points", True),
        Column("95 % interval", True),
        Column("images", True),
        Column("p", True),
    ]
    return joined(
        [
            tag("h3", "Paired tests"),
            tag(
                "p",
                "By how many points the first model is more robust than the second, on the "
                "same images. Images: those that only the first withstands, and only the second. "
                "p is of McNemar’s exact test, two-sided.",
            ),
            table(columns, rows, "Paired tests of the models"),
        ]
    )


def threat_model(content: Content) -> Html | None:
    """The attacks, the images and the networks of the evaluation."""
    if content.table is None:
        return None
    data, threat = content.table, content.table["threat_model"]
    precision = threat.get("precision")
    notes = [
        *attack_notes(threat),
        *network_notes(data),
        *generated_notes(data),
        *source_notes(data),
        *corruption_note(data["rows"]),
    ]
    if precision:
        notes.append(f"precision of the evaluation: {precision}")
    intro = "Images lie in [0, 1]; ε is in pixels. The attacker knows the network and its weights."
    return section("threat-model", "Threat model", tag("p", intro), listing(notes))


_CURVES = (
    ("val_accuracy", "Clean accuracy on the validation split", "accuracy (%)", 100.0),
    (
        "val_robust_accuracy",
        "Robust accuracy on the validation split",
        "robust accuracy (%)",
        100.0,
    ),
    ("train_loss", "Loss on the training batches", "loss", 1.0),
)


def curves(content: Content) -> Html | None:
    """Training curves: those of all trainings, overlaid."""
    epochs = {run.id: read_snapshot(run).epochs for run in content.trainings}
    charts = []
    for key, title, y_title, scale in _CURVES:
        lines = []
        for number, run in enumerate(content.trainings):
            points = [
                Point(event["epoch"] + 1, scale * value)
                for event in epochs[run.id]
                if isinstance(value := event["values"].get(key), int | float)
                and math.isfinite(value)
            ]
            if points:
                lines.append(Line(label(run), points, number))
        if lines:
            ends = "; ".join(f"{line.label}: {line.points[-1].y:.4g} at the end" for line in lines)
            y_range = (0.0, 100.0) if scale == 100.0 else None
            charts.append(
                line_chart(
                    f"curve-{key.replace('_', '-')}", title, ends, lines, "epoch", y_title, y_range
                )
            )
    return section("curves", "Training", tag("div", *charts, class_="charts") if charts else "")


def eps_curves(content: Content) -> Html | None:
    """Robust accuracy over ε, where an attack was evaluated at several."""
    lines = []
    rows = content.table["rows"] if content.table else []
    attacks = list(dict.fromkeys(name for row in rows for name in row["attacks"]))
    for number, row in enumerate(rows):
        for name, cells in row["attacks"].items():
            points = [
                Point(
                    255 * cell["eps"],
                    100 * cell["robust_accuracy"],
                    *(100 * end for end in cell["robust_ci95"] or ()),
                )
                for cell in cells
                if cell["eps"] is not None and cell["robust_accuracy"] is not None
            ]
            if len(points) > 1:
                lines.append(Line(f"{row['model']}, {name}", points, number, attacks.index(name)))
    if not lines:
        return None
    ends = "; ".join(f"{line.label}: {line.points[-1].y:.1f} % at the largest ε" for line in lines)
    chart = line_chart(
        "eps",
        "Robust accuracy over ε, with 95 % intervals",
        ends,
        lines,
        "ε (1/255)",
        "robust accuracy (%)",
        (0.0, 100.0),
    )
    return section("eps-curve", "ε-curve", tag("div", chart, class_="charts"))


def classes(content: Content) -> Html | None:
    """Where each evaluation's last model breaks: per class, the weakest first."""
    return section("classes", "Classes", *_class_tables(content.evaluations))


_MOST_CLASSES = 20


def _class_tables(evaluations: Sequence[Run]) -> Iterator[Html]:
    for run in evaluations:
        try:
            outcomes = Outcomes.load(run.path / FILE)
        except NotFoundError:
            continue
        pairs = [pair for pair in outcomes.attacked if pair[0] == list(outcomes.attacked)[-1][0]]
        if not pairs:
            continue
        withstood = {pair: outcomes.withstood(*pair) for pair in pairs}
        model, attack = min(pairs, key=lambda p: 0 if (w := withstood[p]) is None else int(w.sum()))
        found = [entry for entry in per_class(outcomes, model, attack) if entry["n"]]
        found.sort(key=lambda entry: (entry["robust_accuracy"] or 0, entry["accuracy"] or 0))
        rows = [
            [
                entry["class"],
                entry["n"],
                percent(entry["accuracy"]),
                percent(entry["broken_rate"]),
                percent(entry["robust_accuracy"]),
                ", ".join(f"{b['class']} ({b['k']})" for b in entry["becomes"][:3]) or "–",
            ]
            for entry in found[:_MOST_CLASSES]
        ]
        if rows:
            columns = [
                Column("class"),
                *(Column(name, True) for name in ("images", "accuracy %", "broken %", "robust %")),
                Column("becomes"),
            ]
            some = f", the {len(rows)} weakest of {len(found)}" if len(found) > len(rows) else ""
            yield table(columns, rows, f"{model} under {attack}, the weakest class first{some}")


_VERDICTS: dict[Verdict, str] = {
    "fail": "✗ failed",
    "warn": "! warned",
    "pass": "✓ passed",
    "skipped": "– skipped",
}


def sanity(content: Content) -> Html | None:
    """The checks of each evaluation: first what a person must act on."""
    parts = []
    for run in content.evaluations:
        found = run.result
        checks = found.get("sanity", []) if found else []
        ordered = [c for verdict in _VERDICTS for c in checks if c["verdict"] == verdict]
        rows = []
        for check in ordered:
            value = check.get("value")
            figure = "" if value is None else f"{value + 0.0:.3g} {check.get('unit') or ''}".strip()
            told = [check.get("model"), check.get("advice")] if check["verdict"] != "pass" else []
            verdict = tag("span", _VERDICTS[check["verdict"]], class_=f"verdict {check['verdict']}")
            rows.append([check["check"], verdict, figure, ": ".join(filter(None, told))])
        if rows:
            counts = ", ".join(
                f"{n} {words[2:]}"
                for verdict, words in _VERDICTS.items()
                if (n := sum(c["verdict"] == verdict for c in checks))
            )
            columns = [Column("check"), Column("verdict"), Column("found", True), Column("advice")]
            parts.append(table(columns, rows, f"{label(run)}: {counts}"))
    return section("sanity", "Sanity panel", *parts)
