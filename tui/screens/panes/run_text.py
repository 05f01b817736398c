"""The text pages of a run by their names, and what stands beside the chosen page.

Caches the comparison table, which reads the files of several runs. Knows no widget.
"""

import time
from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from runs.errors import UserError
from runs.live_table import LiveTable
from runs.result_types import Row, Table
from runs.results import compare
from runs.snapshot import Snapshot
from runs.store import Run
from runs.sweep_table import sweep_table
from tui.render.comparison_table import short_table
from tui.render.lines import Line, lines_of
from tui.render.palette import Palette
from tui.render.sweep_table import sweep_comparison
from tui.render.table_notes import FOLDED, Fold
from tui.render.text import clean
from tui.run_list.feed import RunFeed
from tui.screens.panes import pages
from tui.screens.panes.attack_bars import attack_bars
from tui.screens.panes.log_page import log_page
from tui.screens.panes.spec_page import spec_page
from tui.screens.panes.table import charts_of, table_page
from tui.shared_state import SharedState

BESIDE = ("attacks", "table", "system")
"""The pages that a large screen shows beside the chosen page, from above."""


REST = 20.0
"""The table of a sweep is read anew after so many times the time that this took."""


class RunText:
    """The text pages of one run, drawn from its files and its feed."""

    def __init__(self, state: SharedState, run: Run, feed: RunFeed) -> None:
        self._state, self._run, self._feed = state, run, feed
        self._table: Table | None = None
        self._table_key: object = None
        self._live_table = LiveTable()
        self._sweep_shown: RenderableType = Text()
        self._sweep_key: object = None
        self._sweep_from = 0.0

    def table(self, width: int, fold: Fold, palette: Palette) -> Iterable[Line]:
        """The lines of the page table."""
        if self._run.kind == "sweep":
            return lines_of(self._sweep(palette), width)
        return table_page(self._run, self._comparison(), fold, width, palette)

    def short_table(self, width: int, palette: Palette) -> Iterable[Line]:
        """The table without intervals, also of a live run; nothing before the first attack."""
        table = self._comparison()
        return lines_of(short_table(table, palette), width) if table else ()

    def page(self, name: str, width: int, palette: Palette) -> Iterable[Line]:
        """The lines of the page attacks, system, log or spec."""
        match name:
            case "attacks":
                return attack_bars(self._feed, width, palette, self._outcome())
            case "system":
                return pages.system_page(self._feed, self._state.clock(), width, palette)
            case "log":
                return log_page(self._feed, width, palette)
            case _:
                return spec_page(self._run, width, palette)

    def beside(self, name: str, width: int, palette: Palette) -> Iterable[Line]:
        """The lines of one of :data:`BESIDE`."""
        if name != "table":
            return self.page(name, width, palette)
        if self._run.kind == "sweep":
            return lines_of(self._sweep(palette), width)
        table = self._comparison()
        charts = charts_of(table, width, palette) if table else []
        # a table with several ε is too wide
        return charts or table_page(self._run, table, FOLDED, width, palette)

    def _sweep(self, palette: Palette) -> RenderableType:
        """The table of a sweep; read again when a run of the home has changed its state."""
        rows = self._state.feed.rows.values()
        key = [(row.id, row.state, row.parent) for row in rows]
        now = time.monotonic()
        if key != self._sweep_key and now >= self._sweep_from:
            self._sweep_key = key
            try:
                self._sweep_shown = sweep_comparison(sweep_table(self._run), palette)
            except UserError as error:
                self._sweep_shown = Text(clean(str(error), 500))
            # Of thousands of points it takes seconds: then it is read seldom.
            self._sweep_from = time.monotonic() + REST * (time.monotonic() - now)
        return self._sweep_shown

    def _outcome(self) -> Sequence[Row] | None:
        """The rows of the table of a run that is over; None while it goes on."""
        row = self._state.feed.rows.get(self._run.id)
        if row is None or row.is_live:
            return None
        table = self._comparison()
        return table["rows"] if table else ()

    def _comparison(self) -> Table | None:
        """The run's table, None without one; read again when it or an attack run has changed."""
        rows = self._state.feed.rows.values()
        key = [
            (row.id, row.state) for row in rows if row.kind == "attack" or row.id == self._run.id
        ]
        if key != self._table_key:
            self._table_key = key
            try:
                self._table = compare(self._state.store, [self._run.id])
            except (UserError, KeyError, TypeError, AttributeError):
                self._table = None  # not evaluated yet, or not written by a worker
        return self._table or self._so_far()

    def _so_far(self) -> Table | None:
        """The table of the run's attacks as far as they have come; None without any."""
        member = self._feed.attack
        run = self._run if member is None else member.run
        snapshot = Snapshot() if member is None else member.snapshot
        row = self._state.feed.rows.get(self._run.id)
        is_live = row is not None and row.is_live
        if not (is_live or snapshot.attacks):
            return None
        return self._live_table.of(run, snapshot, is_live=is_live)
