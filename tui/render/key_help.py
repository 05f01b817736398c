"""The help on keys: grouped by purpose, filtered by words, in one column or two.

Pure: takes lines of keys and a width. Knows no binding and no widget.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from tui.render.palette import Palette

GROUPS: dict[str, tuple[str, ...]] = {
    "Move": (
        *("list.", "page.", "screen.", "new.back", "new.next-field", "new.field-before"),
        *("run.page-", "run.next-page", "run.previous-page"),
        *("compare.table", "compare.curves", "compare.specs"),
        *("compare.next-page", "compare.previous-page"),
    ),
    "This page": ("runs.", "compare.", "table.", "examples.", "new.", "form."),
    "Run": ("run.",),
    "Charts": ("curves.",),
    "App": ("app.",),
    "Dialogs": ("dialog.", "pick.", "help."),
}
"""The groups of keys by purpose, in their order, with the beginnings of their bindings' ids. The
longest beginning decides."""
SIGNS, MOUSE = "Signs", "Mouse"
"""The groups of lines without an id, after the groups of keys."""
INDENT = "  "
GAP = 3
"""Cells between two columns."""


class KeyLine(NamedTuple):
    """Keys with the id of their binding; or signs, or what is done with the mouse, with a group."""

    keys: str
    text: str
    id: str = ""
    group: str = MOUSE


def group_of(binding_id: str) -> str:
    """The group of a binding, by its id.

    Raises:
        KeyError: no group has ids with this beginning.
    """
    beginnings = {start: group for group, starts in GROUPS.items() for start in starts}
    found = [start for start in beginnings if binding_id.startswith(start)]
    if not found:
        raise KeyError(binding_id)
    return beginnings[max(found, key=len)]


def grouped(lines: Iterable[KeyLine]) -> dict[str, list[KeyLine]]:
    """The lines by their groups: those of :data:`GROUPS`, signs, the mouse; no empty group."""
    groups: dict[str, list[KeyLine]] = {group: [] for group in (*GROUPS, SIGNS, MOUSE)}
    for line in lines:
        groups[group_of(line.id) if line.id else line.group].append(line)
    return {group: own for group, own in groups.items() if own}


def matching(lines: Iterable[KeyLine], text: str) -> list[KeyLine]:
    """The lines in which each word of ``text`` occurs: in the keys, what they do, or the id."""
    words = text.lower().split()
    return [line for line in lines if all(word in " ".join(line[:3]).lower() for word in words)]


def key_help(lines: Sequence[KeyLine], text: str, width: int, palette: Palette) -> list[Text]:
    """The help on the lines that match ``text``, at most ``width`` cells wide.

    It has two columns where all lines fit into two, whichever of them match.
    """
    shown = matching(lines, text)
    if not shown:
        return [Text("no key matches", palette.dim)]
    with_id = [line for line in lines if line.id]
    keys = max(cell_len(line.keys) for line in lines)
    words = max((cell_len(line.text) for line in with_id), default=0)
    ids = max((cell_len(line.id) for line in with_id), default=0)
    before = len(INDENT) + keys + 2
    whole = max(before + words + 2 + ids, *(before + cell_len(line.text) for line in lines))
    is_wide = 2 * whole + GAP <= width
    room = (width - GAP) // 2 if is_wide else width

    def drawn(line: KeyLine) -> Text:
        parts = Text.assemble((f"{INDENT}{line.keys:<{keys}}  ", palette.accent), line.text)
        if line.id:
            parts.append(" " * max(before + words + 2 - parts.cell_len, 1))
            parts.append(line.id, palette.dim)
        parts.truncate(room, overflow="ellipsis")
        return parts

    blocks = [
        [Text.assemble((group, palette.title)), *map(drawn, own), Text()]
        for group, own in grouped(shown).items()
    ]
    if not is_wide:
        return [line for block in blocks for line in block][:-1]
    return _in_two_columns(blocks, room)


def _in_two_columns(blocks: Sequence[Sequence[Text]], room: int) -> list[Text]:
    """The blocks in their order, parted where the two columns are most alike in height."""

    def height(part: Sequence[Sequence[Text]]) -> int:
        return sum(map(len, part))

    at = min(range(1, len(blocks) + 1), key=lambda n: max(height(blocks[:n]), height(blocks[n:])))
    left = [line for block in blocks[:at] for line in block]
    right = [line for block in blocks[at:] for line in block]
    lines = []
    for line, beside in zip_longest(left[:-1], right[:-1], fillvalue=Text()):
        gap = " " * (room + GAP - line.cell_len) if beside else ""
        lines.append(line + gap + beside)
    return lines
