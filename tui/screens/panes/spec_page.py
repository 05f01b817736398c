"""A run's spec as lines: every field, or the fields in which specs differ. Knows no widget."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.text import Text

from runs.jsonfiles import flattened
from runs.store import Run
from tui.render.lines import NARROW, labelled, wrapped
from tui.render.palette import Palette
from tui.render.progress import trains_on
from tui.render.text import clean
from tui.screens.panes.pages import again

TWO_COLUMNS = 110
"""Cells from which the fields have two columns; a terminal of 120 has them."""
GAP = 4
"""Cells between the two columns."""
_ABSENT = object()
_BUDGETS = ("eps", "step_size", "epsilons")


def spec_page(run: Run, width: int, palette: Palette) -> Iterator[Text]:
    """The command that starts the same run again, and every field of the spec."""
    yield Text("Again, from a shell (C copies it)", palette.dim)
    user_folder = f" {Path.home()}/"  # outside quotes the shell expands ~
    yield from wrapped(
        Text(clean(again(run).replace(user_folder, " ~/"), 1000), palette.accent), width, indent=4
    )
    yield Text()
    if crafting := trains_on(run):
        yield from wrapped(Text(clean(f"Trains on {crafting}", 300), palette.text), width, indent=2)
        yield Text()
    if width < TWO_COLUMNS:
        for block in _blocks(run.raw_spec, width, palette):
            yield from block
        return
    room = (width - GAP) // 2
    left, right = _halves(_blocks(run.raw_spec, room, palette))
    for one, other in zip_longest(left, right, fillvalue=Text()):
        gap = " " * (room + GAP - one.cell_len) if other else ""
        yield Text.assemble(one, gap, other)


def _blocks(spec: Mapping[str, Any], width: int, palette: Palette) -> list[list[Text]]:
    """The lines of each field; an empty line as a block of its own parts two sections.

    The fields of the spec itself come first, then a section for each object in it.
    """
    sections: dict[str, list[tuple[str, str]]] = {"": []}
    for path, value in flattened(spec):
        first, dot, _ = path.partition(".")
        sections.setdefault(first if dot else "", []).append((path, in_words(path, value)))
    cells = [len(path) for fields in sections.values() for path, _ in fields]
    room = min(max(cells, default=8), 40, max(width - NARROW - 2, 8))
    blocks: list[list[Text]] = []
    for fields in filter(None, sections.values()):
        if blocks:
            blocks.append([Text()])
        for path, value in fields:
            label = Text(f"{clean(path):<{room}}  ", palette.dim)
            blocks.append(labelled(label, Text(value, palette.text), width))
    return blocks


def _halves(blocks: Sequence[list[Text]]) -> tuple[list[Text], list[Text]]:
    """The blocks as two columns of about the same height; no block is parted."""
    half = sum(map(len, blocks)) / 2
    left: list[Text] = []
    right: list[Text] = []
    for block in blocks:
        is_left = not right and len(left) < half
        if is_left or right or any(block):  # no column begins with an empty line
            (left if is_left else right).extend(block)
    return left, right


def in_words(path: str, value: Any) -> str:
    """A field's value for a person: ``yes``, ``–``, ``8/255``, at most six digits of a float."""
    from runs.budgets import format_budget

    if isinstance(value, list) and value:
        return clean(", ".join(in_words(path, item) for item in value), 300)
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and path.rpartition(".")[2] in _BUDGETS:
        return format_budget(value)
    return f"{value:.6g}" if isinstance(value, float) else clean(value, 300)


def differences(specs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The fields in which the specs differ, each with its values in the order of the specs."""
    flat = [dict(flattened(spec)) for spec in specs]
    rows = []
    for path in dict.fromkeys(path for fields in flat for path in fields):
        if len({repr(fields.get(path, _ABSENT)) for fields in flat}) > 1:
            values = [in_words(path, f[path]) if path in f else "" for f in flat]
            rows.append((path, values))
    return rows


def difference_page(
    specs: Sequence[tuple[str, str, Mapping[str, Any]]], width: int, palette: Palette
) -> Iterator[Text]:
    """The fields in which specs differ, each spec in a column of its own.

    Args:
        specs: title and last digits of the id of each run, and its spec; at least one.
        width: cells of a line.
        palette: the styles.
    """
    rows = differences([spec for _, _, spec in specs])
    keys = min(max((len(key) for key, _ in rows), default=8), max(width // 3, 12))
    room = max((width - keys - 2) // len(specs) - 2, 6)
    head = Text(" " * keys)
    for title, digits, _ in specs:
        name = clean(title, max(room - 5, 1))
        head.append(f"  {name}", palette.title)
        head.append(f" {digits:<{room - 1 - len(name)}}", palette.dim)
    yield head
    if not rows:
        yield Text("the specs are the same", palette.dim)
    for key, values in rows:
        line = Text(f"{clean(key, keys):<{keys}}", palette.dim)
        for value in values:
            line.append(f"  {clean(value, room):<{room}}", palette.text)
        yield line
