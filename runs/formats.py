"""The comparison table in the formats that people paste: Markdown, LaTeX, CSV, JSON.

Reads the table as data (see :mod:`runs.result_types`) and writes text; no terminal here.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runs.budgets import format_budget, norm_and_eps
from runs.corruptions import has_corruptions, mean_of
from runs.footnotes import footnotes
from runs.result_types import Interval, Row, Table, file_rows

if TYPE_CHECKING:  # reading a table needs no validation, and so no pydantic
    from runs.seeds import MeanRow, MeanTable


def percent(value: float | None) -> str:
    """``76.57``, or a dash where there is no figure."""
    return "–" if value is None else f"{100 * value:.2f}"


def interval(bounds: Interval | None) -> str:
    """``[75.7, 77.4]``, or nothing."""
    return "" if bounds is None else f"[{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]"


def attack_names(rows: "Iterable[Row] | Iterable[MeanRow]") -> list[str]:
    """The attack columns of a table's rows, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row["attacks"]))


def column_title(name: str) -> str:
    """``pgd-targeted`` as ``Targeted``; acronyms and brackets keep their capitals."""
    base, bracket, rest = name.partition(" (")
    known = _TITLES.get(base)
    return (known or base.removeprefix("pgd-").replace("-", " ").capitalize()) + bracket + rest


class Head(NamedTuple):
    """The head of an attack's columns."""

    title: str
    threat: tuple[str, ...] = ()
    """The threat model in short, such as L∞ 8/255 and 20 steps; empty where all columns share
    that of the footnotes."""

    @property
    def line(self) -> str:
        """``Untargeted, L∞ 8/255, 20 steps``."""
        return ", ".join((self.title, *self.threat))


def column_heads(table: "Table | MeanTable") -> dict[str, Head]:
    """The head of each attack of a table, by the attack's name, in order of appearance.

    The threat model stands in it where models were attacked in different ways: with different
    budgets, or not all under every attack.
    """
    names = attack_names(table["rows"])
    described = {attack["name"]: attack for attack in table["threat_model"]["attacks"]}
    threats = {name: _in_short(described.get(name, {})) for name in names}
    budgets = {threat[0] for threat in threats.values() if threat}
    has_gaps = any(0 < len(row["attacks"]) < len(names) for row in table["rows"])
    if not has_gaps and len(budgets) < 2:
        return {name: Head(column_title(name)) for name in names}
    heads = {name: Head(column_title(name.partition(" (")[0]), threats[name]) for name in names}
    every = list(heads.values())
    return {
        name: head._replace(title=column_title(name)) if every.count(head) > 1 else head
        for name, head in heads.items()
    }


def _in_short(attack: Mapping[str, Any]) -> tuple[str, ...]:
    """``("L∞ 8/255", "20 steps")`` from the description of an attack; () without a budget."""
    if "eps" not in attack:
        return ()
    curve = attack.get("epsilons")
    budget = norm_and_eps(attack.get("norm"), attack["eps"])
    parts = [f"{budget.split()[0]} several ε" if curve else budget]
    if attack.get("method", "pgd") != "autoattack":
        parts += [
            f"{count} {noun}"
            for noun in ("steps", "restarts")
            if isinstance(count := attack.get(noun), int) and count > 1
        ]
    return tuple(parts)


_TITLES = {
    "fgsm": "FGSM",
    "mi-fgsm": "MI-FGSM",
    "pgd-dlr": "DLR",
    "apgd-ce": "APGD-CE",
    "apgd-dlr": "APGD-DLR",
    "apgd-targeted": "APGD-T",
    "autoattack": "AutoAttack",
}


def as_markdown(table: Table) -> str:
    """A GitHub table with intervals, and the footnotes as a list."""
    heads, corrupted = column_heads(table), has_corruptions(table["rows"])
    body = []
    for row in table["rows"]:
        line = [row["model"], _with_interval(row["accuracy"], row["accuracy_ci95"])]
        line += [percent(mean_of(row))] if corrupted else []
        for name in heads:
            cells = row["attacks"].get(name, [])
            budgets = [cell["eps"] for cell in cells]
            success = [_with_interval(c["success_rate"], c["success_ci95"]) for c in cells]
            robust = [_with_interval(c["robust_accuracy"], c["robust_ci95"]) for c in cells]
            line += [markdown_levels(budgets, success), markdown_levels(budgets, robust)]
        body.append(line)
    return markdown_table(list(heads.values()), body, footnotes(table), corrupted=corrupted)


def markdown_levels(budgets: Sequence[float | None], texts: Sequence[str]) -> str:
    """The texts of an attack's cells; with several ε a line each, with its ε before it."""
    if len(texts) > 1:
        pairs = zip(budgets, texts, strict=True)
        texts = [f"{format_budget(eps or 0.0)}: {text}" for eps, text in pairs]
    return "<br>".join(texts) or "–"


def markdown_table(
    heads: Sequence[Head], body: list[list[str]], notes: list[str], *, corrupted: bool = False
) -> str:
    """Lines of model, accuracy and two figures per attack; model names and notes are escaped.

    ``corrupted``: behind accuracy stands that on corrupted images.
    """
    head = ["model", "accuracy %", *(["corrupted %"] if corrupted else [])]
    for attack in heads:
        title = markdown_text(attack.title)
        threat = "".join(f"<br>{markdown_text(part)}" for part in attack.threat)
        head += [f"{title} success %{threat}", f"{title} robust %{threat}"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join([markdown_text(model), *rest]) + " |" for model, *rest in body]
    return "\n".join([*lines, "", *(f"- {markdown_text(note)}" for note in notes)]) + "\n"


def _with_interval(value: float | None, bounds: Interval | None) -> str:
    return f"{percent(value)} {interval(bounds)}".rstrip()


def _one_line(text: str) -> str:
    """Whitespace as single spaces, control characters (which a terminal would obey) as dots."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", "·", " ".join(text.split()))


def markdown_text(text: str) -> str:
    """A text as a cell of a Markdown table."""
    text = _one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return text.replace("\\", "&#92;").replace("|", "&#124;")


_LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # behind a line break it would be an optional argument
    "ε": r"$\varepsilon$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "–": "--",
}


def latex_text(text: str) -> str:
    """A text without commands of LaTeX."""
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def as_latex(table: Table) -> str:
    """A booktabs table, each figure over its interval; the footnotes are its caption."""
    heads, corrupted = column_heads(table), has_corruptions(table["rows"])
    body = []
    for row in table["rows"]:
        figures = [row["model"], percent(row["accuracy"])]
        intervals = ["", interval(row["accuracy_ci95"])]
        if corrupted:
            figures.append(percent(mean_of(row)))
            intervals.append("")
        for name in heads:
            cells = row["attacks"].get(name, [])
            figures += [
                latex_levels([percent(cell["success_rate"]) for cell in cells]),
                latex_levels([percent(cell["robust_accuracy"]) for cell in cells]),
            ]
            for bounds in (
                [cell["success_ci95"] for cell in cells],
                [cell["robust_ci95"] for cell in cells],
            ):
                intervals.append(" / ".join(interval(pair) for pair in bounds if pair))
        body += [figures, intervals]
    return latex_table(list(heads.values()), body, footnotes(table), corrupted=corrupted)


def latex_levels(texts: Sequence[str]) -> str:
    """The texts of an attack's cells in one line; a dash where there is none."""
    return " / ".join(texts) or "–"


def latex_table(
    heads: Sequence[Head], body: list[list[str]], notes: list[str], *, corrupted: bool = False
) -> str:
    """Lines of model, accuracy and two figures per attack, as plain text; all of it is escaped.

    ``corrupted``: behind accuracy stands that on corrupted images.
    """
    clean = 2 + corrupted  # columns before those of the attacks
    columns = "l" + "r" * (clean - 1 + 2 * len(heads))
    before = " &" * (clean - 2)
    groups = _tex_groups([head.title for head in heads])
    threats = _tex_groups([", ".join(head.threat) for head in heads])
    firsts = range(clean + 1, clean + 1 + 2 * len(heads), 2)
    rules = "".join(rf" \cmidrule(lr){{{first}-{first + 1}}}" for first in firsts)
    accuracy = "Accuracy & Corrupted" if corrupted else "Accuracy"
    note = " ".join(f"{line}." for line in notes)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        rf"     &{before} {groups} \\",
        *([rf"     &{before} {threats} \\"] if any(head.threat for head in heads) else []),
        *([f"   {rules}"] if heads else []),
        f"    Model & {accuracy}" + " & Success & Robust" * len(heads) + r" \\",
        r"    \midrule",
        *("    " + " & ".join(latex_text(text) for text in line) + r" \\" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        rf"  \caption{{Accuracy and attack success in \%. {latex_text(note)}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _tex_groups(texts: Sequence[str]) -> str:
    """A text over the two columns of each attack."""
    return "".join(rf" & \multicolumn{{2}}{{c}}{{{latex_text(text)}}}" for text in texts)


_MODEL_COLUMNS = ("model", "run", "checkpoint", "n", "correct_k", "accuracy")
_CELL_COLUMNS = ("eps", "success_k", "success_n", "success_rate", "robust_k", "robust_accuracy")


def as_csv(table: Table) -> str:
    """Long form: a line for each model × attack × ε, with counts, rates and intervals.

    A model without any attack has a line without figures of an attack.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    corrupted = has_corruptions(table["rows"])
    writer.writerow(
        [
            *_MODEL_COLUMNS,
            *("accuracy_low", "accuracy_high"),
            *(["corrupted_accuracy"] if corrupted else []),
            "attack",
            *_CELL_COLUMNS,
            *("success_low", "success_high", "robust_low", "robust_high"),
        ]
    )
    for row in table["rows"]:
        start = [row.get(column) for column in _MODEL_COLUMNS]
        start += row["accuracy_ci95"] or (None, None)
        start += [mean_of(row)] if corrupted else []
        if not row["attacks"]:
            writer.writerow([*start, *[None] * (1 + len(_CELL_COLUMNS) + 4)])
        for name, cells in row["attacks"].items():
            for cell in cells:
                line = [*start, name, *(cell.get(column) for column in _CELL_COLUMNS)]
                for bounds in (cell["success_ci95"], cell["robust_ci95"]):
                    line += bounds or (None, None)
                writer.writerow(line)
    return stream.getvalue()


def as_json(table: "Table | MeanTable") -> str:
    """The table as data, indented, with the keys of a result."""
    rows = file_rows(table["rows"], table["threat_model"])
    return json.dumps({**table, "rows": rows}, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
