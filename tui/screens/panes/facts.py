"""A run in a few lines: when it worked, what a person added, and the main fields of its spec.

Knows no widget and reads no events.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from runs.budgets import NORM_SIGNS, format_budget
from tui.render.lines import labelled, wrapped
from tui.render.palette import Palette
from tui.render.text import clean, percent, short_ago, time_words
from tui.run_list.row import Row, dicts, row_labels

_LABEL = 12
"""Cells of the name of a fact."""


def identity(row: Row, now: float, width: int, palette: Palette) -> Iterator[Text]:
    """Id, age and times, tags, note and error of a run; ``now``: unix seconds."""
    yield Text(clean(row.id, width), palette.dim)
    age = f"{short_ago(row.created, now)} ago"
    times = time_words(row.seconds, row.waited, is_live=row.is_live)
    yield from wrapped(Text(f"{age}, {times}" if times else age, palette.dim), width)
    if row.tags:
        yield Text(clean(" ".join(f"#{tag}" for tag in row.tags), width), palette.accent)
    if row.note:
        yield from wrapped(Text(clean(row.note, 400), palette.text), width)


def accuracies(row: Row, width: int, palette: Palette) -> Iterator[Text]:
    """Clean and robust accuracy of a run, with the split, and the ε where it is unusual."""
    if row.clean is None and row.robust is None:
        return
    split = "test split" if row.on_test else "validation split"
    robust = f"robust at ε {row.at}" if row.at else "robust"
    line = Text.assemble(("clean ", palette.dim), (f"{percent(row.clean)} %", palette.text))
    line.append(f"   {robust} ", palette.dim).append(f"{percent(row.robust)} %", palette.text)
    line.append(f"   {split}", palette.dim)
    yield from wrapped(line, width)


def spec_facts(spec: Mapping[str, Any], width: int, palette: Palette) -> Iterator[Text]:
    """The main fields of a spec."""
    for key, value in facts(spec):
        label = Text(f"{key:<{_LABEL}}", palette.dim)
        yield from labelled(label, Text(clean(value, 200), palette.text), width)


MAIN_FIELDS = (
    *("data", "recipe", "arch", "width", "epochs", "batch_size"),
    *("lr", "seed", "device", "limit"),
)


def facts(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The main fields of a spec, as pairs of name and value, from spec.json without validation."""
    for key in MAIN_FIELDS:
        if spec.get(key) is not None and (key, spec[key]) != ("arch", "resnet18"):
            yield key.replace("_", " "), str(spec[key])
    if spec.get("kind") == "train" and spec.get("mode") != "baseline":
        yield "attack", pgd_in_short(spec.get("attack"))
    for attack in dicts(spec.get("attacks")):
        yield "attack", f"{attack.get('name')}: {pgd_in_short(attack.get('pgd'))}"
    for label in row_labels(spec):
        yield "model", label
    for role in ("baseline", "robust"):
        child = spec.get(role)
        if isinstance(child, dict):
            arch = child.get("arch", "resnet18")
            size = "" if arch == "resnet18" else f"{arch}, "
            size += f"width {child.get('width')}, {child.get('epochs')} epochs"
            yield role, f"{child.get('recipe')}, {size}"


def pgd_in_short(pgd: Any) -> str:
    """``PGD-20 L∞ 8/255``."""
    if not isinstance(pgd, dict):
        return "?"
    eps = pgd.get("eps")
    budget = format_budget(eps) if isinstance(eps, int | float) else "?"
    norm = NORM_SIGNS.get(str(pgd.get("norm")), "?")
    return f"PGD-{pgd.get('steps')} {norm} {budget}"
