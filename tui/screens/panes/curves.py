"""The curves of trainings: three charts that share an x axis and a crosshair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widget import Widget

from runs.run_state import LIVE
from runs.snapshot import Snapshot
from runs.store import Run
from tui.charts.legend import next_alone
from tui.charts.plot import Plot, x_range
from tui.charts.training_curves import (
    CHARTS,
    SMOOTHING,
    ChartKind,
    Series,
    TrainingCurves,
    best_epochs,
    series_of,
)
from tui.charts.window import Window, panned, zoomed
from tui.charts.y_range import spans_decades
from tui.render.text import clean
from tui.shared_state import SharedState
from tui.widgets.chart import Chart
from tui.widgets.error_boundary import ErrorBoundary


@dataclass(frozen=True)
class Layout:
    """How the charts stand in a pane: beside each other or not, and the numbers of those shown."""

    columns: int
    has_wide_row: bool
    """Whether the last chart stands beneath the others, across all columns."""
    shown: frozenset[int]


def layout_of(width: int, height: int, current: int) -> Layout:
    """The layout in so many cells; a wider or higher pane never shows fewer charts."""
    if height >= 43 and width < 140:
        return Layout(1, False, frozenset({0, 1, 2}))
    if width < 96:
        return Layout(1, False, frozenset({current}))
    if height >= 28:
        return Layout(2, True, frozenset({0, 1, 2}))
    return Layout(2, False, frozenset({0, 1} if current < 2 else {0, current}))


class CurvesPane(ErrorBoundary, Widget, can_focus=True):
    """Loss, accuracy and learning rate; a small screen shows one chart at a time."""

    MOUSE: ClassVar[tuple[tuple[str, str], ...]] = (
        ("click", "in a chart: crosshair"),
        ("click", "in a legend: hide or show a line"),
        ("wheel", "over a chart: zoom"),
        ("right click", "in a chart: clear"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "chart", "next chart", id="curves.chart"),
        Binding("e", "axis", "epoch/step", id="curves.axis"),
        Binding("y", "log", "log", id="curves.log"),
        Binding("H", "lines", "one line, or all", show=False, id="curves.lines"),
        Binding("plus,equals_sign", "smooth(1)", "smoother", show=False, id="curves.smoother"),
        Binding("minus", "smooth(-1)", "less smooth", show=False, id="curves.rougher"),
        Binding("right,l", "cross(1)", "crosshair right", show=False, id="curves.right"),
        Binding("left,h", "cross(-1)", "crosshair left", show=False, id="curves.left"),
        Binding("z", "zoom(0.5)", "zoom in", show=False, id="curves.zoom-in"),
        Binding("Z", "zoom(2.0)", "zoom out", show=False, id="curves.zoom-out"),
        Binding("comma", "pan(-0.25)", "pan left", show=False, id="curves.pan-left"),
        Binding("full_stop", "pan(0.25)", "pan right", show=False, id="curves.pan-right"),
        Binding("0", "whole", "show all", show=False, id="curves.whole"),
        Binding("escape", "clear", "clear", id="curves.clear"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._trainings: Sequence[TrainingCurves] = ()
        self._series: dict[str, list[Series]] = {}
        self._current = 0
        self._log: dict[str, bool] = {}
        """Whether a chart's axis is logarithmic, by its name, where the user has chosen."""
        self._smoothing = 0
        self._by_step: bool | None = None
        self._hidden: frozenset[str] = frozenset()
        """Keys of the series that stand in the legends only."""
        self._window: Window | None = None
        self._cursor: float | None = None
        self._empty = "no values yet"
        self._was_by_step = False

    def compose(self) -> ComposeResult:
        for kind in CHARTS:
            yield Chart(id=f"chart-{kind.name}")

    def show(self, trainings: Sequence[TrainingCurves], empty: str = "no values yet") -> None:
        """Show the values of these trainings so far; ``empty`` is shown without values."""
        self._trainings, self._empty = trainings, empty
        self._collect()

    @property
    def by_step(self) -> bool:
        """Whether x counts steps: as the user chose, else until a training has two whole epochs."""
        if self._by_step is not None:
            return self._by_step
        counts = [len(training.snapshot.epochs) for training in self._trainings]
        return bool(counts) and max(counts) < 2

    def _collect(self) -> None:
        weight = SMOOTHING[self._smoothing]
        if self.by_step != self._was_by_step:  # positions on the other axis have no meaning here
            self._was_by_step = self.by_step
            self._window = self._cursor = None
        self._series = {
            kind.name: series_of(self._trainings, kind, by_step=self.by_step, smoothing=weight)
            for kind in CHARTS
        }
        self.draw()

    def draw(self) -> None:
        """Draw the visible charts."""
        for number, kind in enumerate(CHARTS):
            chart = self.query_one(f"#chart-{kind.name}", Chart)
            if chart.display:
                chart.plot = self._plot(kind, number)
        self.refresh_bindings()  # escape works only where it clears something

    def _plot(self, kind: ChartKind, number: int) -> Plot:
        marks = {}
        if len(self._trainings) == 1:
            marks = best_epochs(self._trainings[0].snapshot, by_step=self.by_step)
        weight = SMOOTHING[self._smoothing]
        return Plot(
            title=kind.title,
            series=self._series.get(kind.name, ()),
            x_label="step" if self.by_step else "epoch",
            log=self._is_log(kind),
            clips=kind.is_unbounded,
            in_percent=kind.in_percent,
            bounds=(0.0, 100.0) if kind.in_percent else None,
            window=self._window,
            cursor=self._cursor,
            marks=marks,
            hidden=self._hidden,
            is_current=number == self._current,
            note=f"smoothed {weight:g}" if weight else "",
            empty=self._empty,
        )

    def _is_log(self, kind: ChartKind) -> bool:
        """Whether the axis is logarithmic: as the user chose, else where values span decades."""
        automatic = kind.is_unbounded and spans_decades(
            [line.curve.ys for line in self._visible(kind.name)]
        )
        return self._log.get(kind.name, automatic)

    def on_resize(self, event: Resize) -> None:
        self._arrange(event.size.width, event.size.height)

    def _arrange(self, width: int, height: int) -> None:
        layout = layout_of(width, height, self._current)
        self.set_class(layout.columns == 2, "-two")
        self.set_class(layout.has_wide_row, "-rows")
        for number, kind in enumerate(CHARTS):
            self.query_one(f"#chart-{kind.name}", Chart).set_class(number in layout.shown, "-shown")
        self.call_after_refresh(self.draw)

    # Keys

    def _visible(self, *names: str) -> list[Series]:
        """The series of these charts, or of all, without those that are hidden."""
        lines = [line for name in names or self._series for line in self._series.get(name, ())]
        return [line for line in lines if line.key not in self._hidden]

    def _xs(self) -> list[float]:
        return sorted({x for line in self._visible() for x in line.curve.xs})

    def _range(self) -> Window:
        return x_range([line for lines in self._series.values() for line in lines])

    def action_chart(self) -> None:
        self._current = (self._current + 1) % len(CHARTS)
        self._arrange(self.outer_size.width, self.outer_size.height)

    def action_axis(self) -> None:
        self._by_step = not self.by_step
        self._collect()

    def action_log(self) -> None:
        kind = CHARTS[self._current]
        self._log[kind.name] = not self._is_log(kind)
        self.draw()

    def action_smooth(self, by: int) -> None:
        self._smoothing = min(max(self._smoothing + by, 0), len(SMOOTHING) - 1)
        self._collect()

    def action_cross(self, by: int) -> None:
        low, high = self._window or self._range()
        xs = [x for x in self._xs() if low <= x <= high]
        if not xs:
            return
        if self._cursor is None:
            self._cursor = xs[-1] if by < 0 else xs[0]
        else:
            beyond = [x for x in xs if (x - self._cursor) * by > 0]
            if beyond:
                self._cursor = min(beyond) if by > 0 else max(beyond)
        self.draw()

    def action_lines(self) -> None:
        """In the current chart show the first line alone, then the next, and at last all."""
        keys = [line.key for line in self._series.get(CHARTS[self._current].name, ())]
        self._hidden = (self._hidden - set(keys)) | next_alone(keys, self._hidden)
        self.draw()

    def action_zoom(self, factor: float) -> None:
        low, high = self._window or self._range()
        self._zoom(factor, (low + high) / 2 if self._cursor is None else self._cursor)

    def _zoom(self, factor: float, at: float) -> None:
        self._window = zoomed(self._window, self._range(), factor, at)
        self.draw()

    def action_pan(self, share: float) -> None:
        self._window = panned(self._window, self._range(), share)
        self.draw()

    def action_whole(self) -> None:
        self._window = None
        self.draw()

    def action_clear(self) -> None:
        self._window = self._cursor = None
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys without an effect are off: where there is nothing to clear, escape reaches the
        screen."""
        if action == "clear":
            return self._window is not None or self._cursor is not None
        return any(self._series.values())

    # Mouse

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        """Move the crosshair to the value nearest to the mouse."""
        xs = self._xs()
        if xs:
            self._cursor = min(xs, key=lambda x: abs(x - message.x))
            self.draw()

    def on_chart_toggled(self, message: Chart.Toggled) -> None:
        """Hide the lines of an entry, or show them where all of them are hidden."""
        keys = frozenset(message.keys)
        self._hidden = self._hidden - keys if keys <= self._hidden else self._hidden | keys
        self.draw()

    def on_chart_zoomed(self, message: Chart.Zoomed) -> None:
        self._zoom(message.factor, message.x)

    def on_chart_cleared(self) -> None:
        self.action_clear()


def training_curves(
    state: SharedState, run: Run, label: str | None = None, snapshot: Snapshot | None = None
) -> TrainingCurves:
    """A training's values so far; its label is its name or mode, and the end of its id.

    Unless ``label`` and ``snapshot`` say otherwise.
    """
    label = label or f"{clean(run.name or run.mode or 'run', 24)} {run.id[-4:]}"
    row = state.feed.rows.get(run.id)
    is_live = row.is_live if row else run.state() in LIVE
    return TrainingCurves(label, run.id, snapshot or state.snapshots.snapshot(run), is_live)


def marked_trainings(state: SharedState) -> list[str]:
    """Ids of the marked trainings and of the trainings of marked studies."""
    rows = state.feed.rows.values()
    marked = [row for row in rows if row.id in state.marked]
    marked += [row for row in rows if row.parent in state.marked]
    return list(dict.fromkeys(row.id for row in marked if row.kind == "train"))
