"""What an empty home shows: what advtui does, and the keys that begin. Knows no widget."""

from collections.abc import Iterator

from rich.text import Text

from tui.render.lines import wrapped
from tui.render.palette import Palette

_ABOUT = (
    "advtui trains a ResNet-18 plainly and adversarially, attacks both with targeted and "
    "untargeted PGD, and ends with one table: accuracy and robust accuracy of the baseline, the "
    "best clean and the best robust checkpoint."
)
_BEGIN = (
    ("n", "a new run: choose the preset demo, which needs no GPU, no download and two minutes"),
    ("?", "the keys of this screen, and of every other"),
)
_OUTLIVES = "A run is its own process: it goes on when you leave, or lose the connection."
_INDENT = "  "
_MOST = 76
"""Cells of the longest line."""


def greeting(width: int, palette: Palette) -> Iterator[Text]:
    """The lines of the greeting; they follow an empty line."""
    room = min(width - 2 * len(_INDENT), _MOST)

    def block(text: Text, indent: int = 0) -> Iterator[Text]:
        for line in wrapped(text, room, indent):
            yield Text(_INDENT) + line

    yield from block(Text("No runs yet.", palette.title))
    yield Text()
    yield from block(Text(_ABOUT, palette.text))
    yield Text()
    for key, meaning in _BEGIN:
        yield from block(Text.assemble((f"{key}  ", palette.accent), (meaning, palette.text)), 3)
    yield Text()
    yield from block(Text(_OUTLIVES, palette.dim))
    yield Text()
    yield from block(Text("From a shell the same: advtui study --preset demo", palette.dim))
