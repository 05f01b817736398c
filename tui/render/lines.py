"""Rich renderables and long texts as lines of a given width."""

import io
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment, Segments
from rich.text import Text

Line = Text | Sequence[Segment]
NARROW = 20
"""With fewer cells beside its label a value stands below it."""


_CONSOLE = Console(
    file=io.StringIO(), force_terminal=True, color_system="truecolor", markup=False, emoji=False
)


class Lines:
    """Lines as one renderable; each must fit the console's width."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            if isinstance(line, Text):
                yield line
            else:
                yield Segments([*line, Segment.line()])


def lines_of(renderable: RenderableType, width: int) -> list[list[Segment]]:
    """A renderable as lines of segments of at most ``width`` cells."""
    options = _CONSOLE.options.update(width=max(width, 1), height=None)
    return _CONSOLE.render_lines(renderable, options, pad=False)


def wrapped(text: Text, width: int, indent: int = 0) -> list[Text]:
    """``text`` in lines of at most ``width`` cells; those after the first are indented."""
    lines = list(text.wrap(_CONSOLE, max(width - indent, 8)))
    return [line if n == 0 else Text(" " * indent) + line for n, line in enumerate(lines)]


def labelled(label: Text, value: Text, width: int) -> list[Text]:
    """A label, and beside it a value that is wrapped by words in the cells that are left.

    Where these are few the value stands below its label.
    """
    room = width - label.cell_len
    is_below = room < NARROW
    lines = list(value.wrap(_CONSOLE, max(width - 2 if is_below else room, 8))) or [Text()]
    if is_below:
        label = label.copy()
        label.rstrip()
        return [*label.wrap(_CONSOLE, max(width, 8)), *(Text("  ") + line for line in lines)]
    indent = " " * label.cell_len
    return [(label if n == 0 else Text(indent)) + line for n, line in enumerate(lines)]
