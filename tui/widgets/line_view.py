"""Lines of text of which only the changed ones are sent again: over SSH every byte counts."""

from collections.abc import Callable, Iterable

from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.render.lines import _CONSOLE, Line
from tui.render.text import clean
from tui.widgets.error_boundary import ErrorBoundary

Source = Callable[[int], Iterable[Line]]
"""Returns the lines for a width in cells; called again when the width or the theme changes."""


class LineView(ErrorBoundary, ScrollView, can_focus=False):
    """Lines, drawn from a source; scrolls where they exceed its height."""

    DEFAULT_CSS = """
    LineView { scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    class DrawingFailed(Message):
        """The source has raised an error, as a file that no worker wrote may cause."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(self, source: Source = lambda _: (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source = source
        self._strips: list[Strip] = []
        self._width = -1

    def show(self, source: Source) -> None:
        """Draw from another source."""
        self._source = source
        self.redraw()

    def redraw(self) -> None:
        """Call the source again, and refresh the lines that differ."""
        if self.scrollable_content_region.width <= 0:
            return
        before, width = self._strips, self._width
        self._read()
        strips = self._strips
        height = self.styles.height
        asked = len(strips) > self.size.height or (height is not None and height.is_auto)
        # Where all lines fit there is nothing to scroll; no size then avoids a second layout.
        self.virtual_size = Size(self._width, len(strips)) if asked else Size(0, 0)
        if len(before) != len(strips) or width != self._width:
            self.refresh()
            return
        top = self.scroll_offset.y
        changed = [
            Region(0, n - top, self.size.width, 1)
            for n, (old, new) in enumerate(zip(before, strips, strict=True))
            if old != new
        ]
        if changed:
            self.refresh(*changed)

    def _read(self) -> None:
        self._width = self.scrollable_content_region.width
        self._strips = self._strips_at(self._width)
        if len(self._strips) > self.size.height and not self.show_vertical_scrollbar:
            self._strips = self._strips_at(self._width - 1)  # the scrollbar's room

    def _strips_at(self, width: int) -> list[Strip]:
        """The source's lines; after an error in it, a line with that error."""
        strips = []
        try:
            for line in self._source(width):
                strips.append(_strip(line))
        except Exception as error:
            self.app.post_message(self.DrawingFailed(error))
            strips.append(_strip(Text(clean(f"can't be shown: {error!r}", width))))
        return strips

    def on_resize(self) -> None:
        self.redraw()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self.redraw())

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._width < 0 < self.scrollable_content_region.width:
            self._read()  # before the first resize event, so that the first frame is complete
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The line at ``y`` cells below the widget's top."""
        n = y + self.scroll_offset.y
        base = self.rich_style
        strip = self._strips[n] if n < len(self._strips) else Strip.blank(self.size.width, base)
        return strip.adjust_cell_length(self.size.width).apply_style(base)

    @property
    def text(self) -> str:
        """The lines as plain text."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)


def _strip(line: Line) -> Strip:
    if isinstance(line, Text):
        segments = [s for s in line.render(_CONSOLE) if s.text != "\n"]
        style = line.style if isinstance(line.style, Style) else Style.parse(line.style)
        return Strip(segments).apply_style(style)
    return Strip(line)
