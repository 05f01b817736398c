"""A widget that shows a chart of :mod:`tui.charts.plot`."""

from collections.abc import Iterable

from tui.charts.plot import Plot, render_plot
from tui.render.lines import Line
from tui.render.themes import palette_of
from tui.widgets.line_view import LineView


class Chart(LineView):
    """Draws a :class:`Plot` at its own size."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._draw, id=id)
        self._plot = Plot("")

    @property
    def plot(self) -> Plot:
        """The plot that is shown; setting it draws it."""
        return self._plot

    @plot.setter
    def plot(self, plot: Plot) -> None:
        self._plot = plot
        self.redraw()

    def _draw(self, width: int) -> Iterable[Line]:
        return render_plot(self._plot, width, self.size.height, palette_of(self.app))
