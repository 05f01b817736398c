"""The comparison table in the formats that people paste: Markdown, LaTeX, CSV, JSON.

Reads the table as data (see :mod:`runs.results`) and writes text; no terminal here.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from runs.budgets import format_budget

Table = dict[str, Any]

DEFINITIONS = (
    "success: of the images classified correctly when clean, the share that the attack turns "
    "into the target class (targeted) or wrong (untargeted); robust: share of all images "
    "classified correctly both clean and attacked"
)
CAPTION = f"{DEFINITIONS}; ranges are 95 % Wilson intervals"


def percent(value: float | None) -> str:
    """``76.57``, or a dash where there is no figure."""
    return "–" if value is None else f"{100 * value:.2f}"


def interval(bounds: list[float] | tuple[float, float] | None) -> str:
    """``[75.7, 77.4]``, or nothing."""
    return "" if bounds is None else f"[{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]"


def attack_names(data: Table) -> list[str]:
    """The table's attack columns, in order of appearance."""
    return list(dict.fromkeys(name for row in data["rows"] for name in row["attacks"]))


def cells(value: dict[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An attack's cells: one, or with several ε a list."""
    return value if isinstance(value, list) else [value]


def column_title(name: str) -> str:
    """``pgd-targeted`` as ``Targeted`` where the family is the table's own, else as it stands."""
    known = _TITLES.get(name)
    return known or name.removeprefix("pgd-").replace("-", " ").capitalize()


_TITLES = {
    "fgsm": "FGSM",
    "mi-fgsm": "MI-FGSM",
    "pgd-dlr": "DLR",
    "apgd-ce": "APGD-CE",
    "apgd-dlr": "APGD-DLR",
    "apgd-targeted": "APGD-T",
    "autoattack": "AutoAttack",
}


def footnotes(data: Table) -> list[str]:
    """What stands under every table: data, n, each attack's threat model, the definitions."""
    threat = data["threat_model"]
    images = f"{pictures_note(data)}, n = {threat['n']}, seed {threat['seed']}"
    return [images, *source_notes(data), *attack_notes(data), CAPTION, *pair_notes(data)]


def pictures_note(data: Table) -> str:
    """``CIFAR-100, test split``; of a folder its name, and how its pictures were resized."""
    threat = data["threat_model"]
    named = threat.get("split", "test")
    split = f", {named} split" if named else ""
    resize = f", resized to {threat['resize']}×{threat['resize']}" if threat.get("resize") else ""
    return f"{threat['data']}{split}{resize}"


def source_notes(data: Table) -> list[str]:
    """Which networks those were that advtui did not train, in a line each."""
    return [f"{row['model']}: {_source(row['source'])}" for row in data["rows"] if "source" in row]


def attack_notes(data: Table) -> list[str]:
    """Each attack of the threat model, in a line."""
    lines = []
    for attack in data["threat_model"]["attacks"]:
        aim = f"targets: {attack['targets']}" if attack["targets"] else "untargeted"
        if attack.get("target_classes"):
            aim += f" (of the {attack['target_classes']} likeliest)"
        lines.append(f"{attack['name']}: {attack['text']}, {aim}")
    return lines


def _source(source: dict[str, Any]) -> str:
    """``nets.wide:make with wide.safetensors (SHA-256 3fa9…), expects (x − mean) / std with …``."""
    told = str(source["factory"])
    if source["weights"]:
        file = re.split(r"[/\\]", source["weights"])[-1]
        told += f" with {file} (SHA-256 {source['sha256'][:16]}…)"
    if source["mean"]:
        mean, std = (" ".join(f"{v:g}" for v in source[key]) for key in ("mean", "std"))
        told += f", normalised input (mean {mean}, std {std})"
    return told


def pair_notes(data: Table) -> list[str]:
    """Who is more robust than whom, and whether chance could have done it: a sentence a pair.

    Under the attack that leaves least of both, but something; the others stand in the JSON.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for pair in sorted(data.get("paired", ()), key=_strength):
        found.setdefault((min(pair["one"], pair["other"]), max(pair["one"], pair["other"])), pair)
    return [
        f"{pair['one']} is {100 * pair['difference']:.1f} points ({_signed(pair['ci95'][0])} to "
        f"{_signed(pair['ci95'][1])}) more robust than {pair['other']} under {pair['attack']}, "
        f"p {_p(pair['p'])} (McNemar's exact test)"
        for pair in found.values()
    ]


def _strength(pair: dict[str, Any]) -> tuple[bool, int]:
    left = pair.get("withstood", 0)
    return left == 0, left


def _signed(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def as_markdown(data: Table) -> str:
    """A GitHub table with intervals, and the footnotes as a list."""
    names = attack_names(data)
    body = []
    for row in data["rows"]:
        line = [row["model"], _with_interval(row["accuracy"], row["accuracy_ci95"])]
        for name in names:
            found = cells(row["attacks"][name]) if name in row["attacks"] else []
            for kind, ci in (("success_rate", "success_ci95"), ("robust_accuracy", "robust_ci95")):
                line.append(markdown_levels(found, [_with_interval(c[kind], c[ci]) for c in found]))
        body.append(line)
    return markdown_table(names, body, footnotes(data))


def markdown_levels(found: list[dict[str, Any]], texts: list[str]) -> str:
    """The texts of an attack's cells; with several ε a line each, with its ε before it."""
    if len(found) > 1:
        texts = [f"{format_budget(c['eps'])}: {text}" for c, text in zip(found, texts, strict=True)]
    return "<br>".join(texts) or "–"


def markdown_table(names: list[str], body: list[list[str]], notes: list[str]) -> str:
    """Lines of model, accuracy and two figures an attack; the model's name is escaped here."""
    head = ["model", "accuracy %"]
    for name in names:
        title = _markdown(column_title(name))
        head += [f"{title} success %", f"{title} robust %"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join([_markdown(model), *rest]) + " |" for model, *rest in body]
    return "\n".join([*lines, "", *(f"- {_markdown(note)}" for note in notes)]) + "\n"


def _with_interval(value: float | None, bounds: list[float] | None) -> str:
    return f"{percent(value)} {interval(bounds)}".rstrip()


def _one_line(text: str) -> str:
    """Whitespace as single spaces, control characters (which a terminal would obey) as dots."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", "·", " ".join(text.split()))


def _markdown(text: str) -> str:
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


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def as_latex(data: Table) -> str:
    """A booktabs table, each figure over its interval; the footnotes are its caption's note."""
    names = attack_names(data)
    body = []
    for row in data["rows"]:
        line = [row["model"], percent(row["accuracy"])]
        below = ["", interval(row["accuracy_ci95"])]
        for name in names:
            found = cells(row["attacks"][name]) if name in row["attacks"] else []
            for kind, ci in (("success_rate", "success_ci95"), ("robust_accuracy", "robust_ci95")):
                line.append(" / ".join(percent(c[kind]) for c in found) or "–")
                below.append(" / ".join(interval(c[ci]) for c in found if c[ci]))
        body += [line, below]
    return latex_table(names, body, footnotes(data))


def latex_table(names: list[str], body: list[list[str]], notes: list[str]) -> str:
    """Lines of model, accuracy and two figures an attack, as plain text: all is escaped here."""
    columns = "l" + "r" * (1 + 2 * len(names))
    groups = "".join(rf" & \multicolumn{{2}}{{c}}{{{_tex(column_title(n))}}}" for n in names)
    rules = "".join(rf" \cmidrule(lr){{{3 + 2 * i}-{4 + 2 * i}}}" for i in range(len(names)))
    note = " ".join(f"{line}." for line in notes)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        rf"     & {groups} \\",
        *([f"   {rules}"] if names else []),
        r"    Model & Accuracy" + " & Success & Robust" * len(names) + r" \\",
        r"    \midrule",
        *("    " + " & ".join(_tex(text) for text in line) + r" \\" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        rf"  \caption{{Accuracy and attack success in \%. {_tex(note)}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_OF_THE_MODEL = ("model", "run", "checkpoint", "n", "correct_k", "accuracy")
_OF_THE_ATTACK = ("eps", "success_k", "success_n", "success_rate", "robust_k", "robust_accuracy")


def as_csv(data: Table) -> str:
    """Long form: a line for each model × attack × ε, with counts, rates and intervals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(
        [
            *_OF_THE_MODEL,
            *("accuracy_low", "accuracy_high"),
            "attack",
            *_OF_THE_ATTACK,
            *("success_low", "success_high", "robust_low", "robust_high"),
        ]
    )
    for row in data["rows"]:
        start = [row[key] for key in _OF_THE_MODEL]
        start += row["accuracy_ci95"] or (None, None)
        for name, cell in _flat(row):
            line = [*start, name, *(cell[key] for key in _OF_THE_ATTACK)]
            for bounds in (cell["success_ci95"], cell["robust_ci95"]):
                line += bounds or (None, None)
            writer.writerow(line)
    return stream.getvalue()


def _flat(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in row["attacks"].items():
        for cell in cells(value):
            yield name, cell


def as_json(data: Table) -> str:
    """The table as data, indented."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
