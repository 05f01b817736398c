"""The notes under a table of the screen: the threat model always, the others on request."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from runs.footnotes import footnotes, same_notes, threat_note
from runs.result_types import Table
from tui.render.lines import wrapped
from tui.render.palette import Palette
from tui.render.text import clean


class Fold(NamedTuple):
    """Whether the notes are open, and the key that opens and folds them; empty without a key."""

    is_open: bool
    key: str


FOLDED = Fold(is_open=False, key="")


def comparison_notes(table: Table, fold: Fold, width: int, palette: Palette) -> list[Text]:
    """The notes of a comparison; folded the threat model, and what must be known of the rows."""
    standing = [threat_note(table["threat_model"]), *same_notes(table), *table.get("notes", [])]
    return note_lines(standing, footnotes(table), fold, width, palette)


def note_lines(
    standing: Sequence[str], notes: Sequence[str], fold: Fold, width: int, palette: Palette
) -> list[Text]:
    """Notes in lines of the width; ``standing``: what they still say when folded."""
    more = max(len(notes) - len(standing), 1)
    words = "fewer notes" if fold.is_open else f"{more} more note{'' if more == 1 else 's'}"
    shown = [Text(clean(note, 1000), palette.dim) for note in (notes if fold.is_open else standing)]
    lines = [line for note in shown for line in wrapped(note, width, indent=2)]
    if fold.key:
        lines.append(Text.assemble((fold.key, palette.accent), (f" {words}", palette.dim)))
    return lines
