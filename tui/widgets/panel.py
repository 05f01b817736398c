"""Titles of panels: widgets of the style class ``panel`` have a frame that carries a title."""

from textual.content import Content
from textual.widget import Widget

from tui.render.text import clean


def set_title(panel: Widget, title: str) -> None:
    """Set the title of a panel's frame; markup in it has no effect.

    A title that stays the same draws nothing.
    """
    shown = Content(clean(title, 60))
    if panel._border_title is None or panel._border_title.plain != shown.plain:
        panel.border_title = shown
