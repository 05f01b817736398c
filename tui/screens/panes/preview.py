"""The pane beside the run list: the run under the cursor, alive while it works.

It shows what says most of the run: of a training the chart of its accuracy, of an attack run its
bars, of a study what its live child does; of a run that has ended its table, and of one that failed
its error and the end of its log. The main fields of the spec fill the rest.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from rich.text import Text
from textual.timer import Timer

from runs.store import Run
from tui.render.lines import Line, wrapped
from tui.render.palette import Palette
from tui.render.text import clean
from tui.render.themes import palette_of
from tui.run_list.feed import SLICE_BYTES, RunFeed
from tui.run_list.row import Row
from tui.screens.panes.facts import accuracies, identity, spec_facts
from tui.shared_state import SharedState
from tui.widgets.line_view import LineView

if TYPE_CHECKING:  # brings what draws tables, when the first run is shown
    from tui.screens.panes.run_text import RunText

FIRST_S, REPEATED_S = 0.005, 0.12
"""Seconds from a move of the cursor until the new run's events are read: after a pause in moving,
and while it moves on."""
CHART_EVERY_S = 10.0
"""Seconds between two drawings of a live training's chart; a new epoch draws it at once."""
LEAST_CHART, MOST_CHART = 8, 22
"""Lines of the chart."""
LOG_LINES = 8


class Preview(LineView):
    """The run under the cursor of the list."""

    def __init__(self, state: SharedState, *, id: str | None = None) -> None:
        super().__init__(self._lines, id=id)
        self._state = state
        self._row: Row | None = None
        self._feed: RunFeed | None = None
        self._text: RunText | None = None
        self._is_read = False
        self._moved_at = 0.0
        self._timer: Timer | None = None
        self._chart: tuple[object, list[Line]] = (None, [])
        """What the last chart was drawn from, and its lines."""

    @property
    def is_settled(self) -> bool:
        """Whether all that is known of the run is shown."""
        return self._row is None or self._is_read

    def show_row(self, row: Row | None) -> None:
        """Show this run; its row at once, its events when the cursor rests."""
        is_other = row is None or self._row is None or row.id != self._row.id
        self._row = row
        if is_other:
            self._feed, self._text, self._is_read = None, None, False
            if self._timer is not None:
                self._timer.stop()
                self._timer = None
        if row is None:
            self.redraw()
            return
        if self._feed is None and self._timer is None:
            now = self._state.clock()
            is_moving = now - self._moved_at < REPEATED_S
            self._moved_at = now
            self._timer = self.set_timer(REPEATED_S if is_moving else FIRST_S, self._open)
        elif row.is_live or not self._is_read:
            self._read_events()
        self.redraw()

    def _open(self) -> None:
        self._timer = None
        if self._row is not None:
            from tui.screens.panes.run_text import RunText

            run = self._state.run(self._row.id)
            self._feed = RunFeed(run, self._state.store)
            self._text = RunText(self._state, run, self._feed)
            self._catch_up()

    def _catch_up(self) -> None:
        """Read the events, a slice at a time, then draw."""
        self._timer = None
        self._read_events()
        if self._is_read:
            self.redraw()
        else:
            self._timer = self.set_timer(FIRST_S, self._catch_up)

    def _read_events(self) -> None:
        if self._feed is not None:
            self._feed.read(SLICE_BYTES)
            self._is_read = not self._feed.has_more

    # Drawing

    def _lines(self, width: int) -> Iterator[Line]:
        """As many lines as the pane has: it does not scroll."""
        return islice(self._content(width), self.size.height)

    def _content(self, width: int) -> Iterator[Line]:
        row, palette = self._row, palette_of(self.app)
        if row is None:
            return
        run = self._state.run(row.id)
        now = self._state.clock()
        head = list(self._state_lines(row, width, palette))
        if silence := row.silence(now):
            head += wrapped(Text(silence, palette.bad), width)
        head += identity(row, now, width, palette)
        yield from head
        facts = list(spec_facts(run.raw_spec, width, palette))
        room = self.size.height - len(head) - len(facts) - 2  # an empty line before each
        main = list(self._main(run, row, width, room, palette))
        for section in (main, facts):
            if section:
                yield Text()
                yield from section

    def _state_lines(self, row: Row, width: int, palette: Palette) -> Iterator[Line]:
        """The state, and of a live run what it does now and how long it will."""
        if row.is_live and self._feed is not None and self._is_read:
            from tui.screens.panes.pages import now_line, strip_line

            if row.kind == "study" and row.state == "running":
                from tui.render.progress import eta_text

                yield _state_line(row, eta_text(self._feed.run, self._feed.left_s), palette)
                yield strip_line(self._feed, width, palette)
            else:
                line = now_line(self._feed, row.state, "", width + 1, palette)
                yield line[1:]  # without the margin of a line across the screen
            return
        words = row.place or row.progress
        yield _state_line(row, "" if words == "done" else words, palette)

    def _main(
        self, run: Run, row: Row, width: int, height: int, palette: Palette
    ) -> Iterable[Line]:
        """What says most of the run; a chart in ``height`` lines, if these are enough for one."""
        if row.error:
            yield from wrapped(Text(clean(row.error, 600), palette.bad), width)
        for warning in row.warnings:
            yield from wrapped(Text(f"! {clean(warning, 400)}", palette.warn), width, indent=2)
        if row.state in ("failed", "lost"):
            yield from _log_lines(run, width, palette)
            return
        if row.kind == "train":
            figures = list(accuracies(row, width, palette))
            height -= len(figures)
            yield from figures
        if self._feed is None or not self._is_read:
            return
        if row.kind == "sweep" and self._text is not None:
            yield from self._text.beside("table", width, palette)
            return
        if row.kind == "train" or self._feed.attack is None:
            yield from self._chart_lines(self._feed, width, height, palette)
            return
        if row.is_live:
            from tui.screens.panes.attack_bars import bars_alone

            yield from bars_alone(self._feed, width, palette)
            yield Text()
        if self._text is not None:
            yield from self._text.short_table(width, palette)

    def _chart_lines(
        self, feed: RunFeed, width: int, height: int, palette: Palette
    ) -> Iterable[Line]:
        """The chart of the accuracy; of a live run drawn again at each epoch and now and then."""
        lines = min(max(height, LEAST_CHART), MOST_CHART)
        epochs = [len(member.snapshot.epochs) for member in feed.trainings]
        age = int(self._state.clock() // CHART_EVERY_S) if feed.is_live else 0
        key = (feed, width, lines, palette, epochs, age)
        if key != self._chart[0]:
            from tui.screens.panes.accuracy_chart import accuracy_chart

            self._chart = (key, accuracy_chart(self._state, feed, width, lines, palette))
        return self._chart[1]


def _state_line(row: Row, words: str, palette: Palette) -> Text:
    glyph, colour = palette.state(row.state)
    return Text.assemble((f"{glyph} {row.state}", colour), (f"  {words}", palette.dim))


def _log_lines(run: Run, width: int, palette: Palette) -> Iterator[Line]:
    """The end of the worker's log."""
    from tui.render.log_lines import log_tail, without_deprecations

    kept, _ = without_deprecations(log_tail(run, 4 * LOG_LINES))
    tail = kept[-LOG_LINES:]
    if tail:
        yield Text()
        yield Text("the end of its log", palette.dim)
    for line in tail:
        yield from islice(wrapped(Text(line, palette.text), width, indent=2), 3)
