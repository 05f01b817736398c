"""Lines at the bottom of a terminal, below what is printed meanwhile.

Of these lines only those that have changed are sent again: over SSH every byte counts. Knows
nothing about runs.
"""

import sys
from collections.abc import Sequence
from typing import Self, TextIO

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segments
from rich.text import Text

from tui.render.lines import Line, Lines


class LiveRegion(RenderHook):
    """A context manager; within it whatever is printed on the console, or on stderr, stands above.

    Args:
        console: a terminal. The lines must be fewer than its height and fit its width.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: Sequence[Line] = ()
        self._size = console.size
        self._is_drawing = False
        self._stderr: TextIO | None = None

    def __enter__(self) -> Self:
        self._console.show_cursor(False)
        self._console.push_render_hook(self)
        self._stderr = sys.stderr
        sys.stderr = FileProxy(self._console, sys.stderr)
        return self

    def __exit__(self, *error: object) -> None:
        """The lines are erased."""
        if self._stderr is not None:
            sys.stderr = self._stderr
        self._console.control(self._erasing())
        self._lines = ()
        self._console.pop_render_hook()
        self._console.show_cursor(True)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What is printed, above the lines (a hook of Rich)."""
        if self._is_drawing:
            return renderables
        return [self._erasing(), *renderables, Lines(self._lines)]

    def draw(self, lines: Sequence[Line]) -> None:
        """Show these lines in the place of those before."""
        is_whole = len(lines) != len(self._lines) or self._console.size != self._size
        self._is_drawing = True
        try:
            with self._console:  # everything is sent at once
                if is_whole:
                    self._console.control(self._erasing())
                    self._console.print(Lines(lines), end="")
                else:
                    self._redraw_changed(lines)
        finally:
            self._is_drawing = False
        self._lines, self._size = lines, self._console.size

    def _redraw_changed(self, lines: Sequence[Line]) -> None:
        for n, (old, new) in enumerate(zip(self._lines, lines, strict=True)):
            if old != new:
                up = len(lines) - n
                self._console.control(Control(*_line_above(up)))
                self._console.print(new if isinstance(new, Text) else Segments(new), end="")
                below = (ControlType.CURSOR_DOWN, up)
                self._console.control(Control(below, ControlType.CARRIAGE_RETURN))

    def _erasing(self) -> Control:
        """Erases the lines; the cursor is then where the first one was."""
        return Control(*_line_above(1) * len(self._lines))


def _line_above(count: int) -> list[ControlType | tuple[ControlType, int]]:
    """Moves to the start of the line so many lines above, and erases it."""
    return [
        (ControlType.CURSOR_UP, count),
        ControlType.CARRIAGE_RETURN,
        (ControlType.ERASE_IN_LINE, 2),
    ]
