"""A widget that shows a chart of :mod:`tui.charts.plot` and tells where it was clicked."""

from collections.abc import Iterable

from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from tui.charts.plot import Drawing, Plot, draw_plot
from tui.render.lines import Line
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView

RIGHT_BUTTON = 3
NEARER, FARTHER = 0.8, 1.25
"""How much of the window a notch of the wheel leaves."""


class Chart(LineView):
    """Draws a :class:`Plot` at its own size."""

    class Pointed(Message):
        """A click among the curves, at ``x``."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x

    class Toggled(Message):
        """A click on an entry of the legend, which stands for the series with these keys."""

        def __init__(self, keys: tuple[str, ...]) -> None:
            super().__init__()
            self.keys = keys

    class Zoomed(Message):
        """The wheel was turned at ``x``; the window is to be ``factor`` times as wide."""

        def __init__(self, factor: float, x: float) -> None:
            super().__init__()
            self.factor, self.x = factor, x

    class Cleared(Message):
        """A click with the right button."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._draw, id=id)
        self._plot = Plot("")
        self._drawing = Drawing([])

    @property
    def plot(self) -> Plot:
        """The plot that is shown; setting it draws it."""
        return self._plot

    @plot.setter
    def plot(self, plot: Plot) -> None:
        self._plot = plot
        self.redraw()

    def _draw(self, width: int) -> Iterable[Line]:
        self._drawing = draw_plot(self._plot, width, self.size.height, palette_of(self.app))
        return self._drawing.lines

    def on_click(self, event: Click) -> None:
        if event.button == RIGHT_BUTTON:
            self.post_message(self.Cleared())
        elif keys := self._drawing.legend_at(event.x, event.y):
            self.post_message(self.Toggled(keys))
        elif (x := self._drawing.x_at(event.x, event.y)) is not None:
            self.post_message(self.Pointed(x))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._zoom(NEARER, event)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._zoom(FARTHER, event)

    def _zoom(self, factor: float, event: MouseScrollUp | MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        if (x := self._drawing.x_near(event.x)) is not None:
            self.post_message(self.Zoomed(factor, x))
