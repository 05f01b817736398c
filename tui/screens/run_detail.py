"""The screen of one run: curves, attacks, table, examples, system, log, spec."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.widget import Widget

from runs.run_state import LIVE
from runs.store import Run
from tui.charts.training_curves import TrainingCurves
from tui.render.lines import Line
from tui.render.progress import label
from tui.render.text import clean, duration, time_words
from tui.run_list.feed import SLICE_BYTES, RunFeed
from tui.run_list.row import Row, read_row
from tui.screens.panes import pages
from tui.screens.panes.curves import CurvesPane, marked_trainings, training_curves
from tui.screens.panes.examples import ExamplesPane
from tui.screens.panes.facts import accuracies
from tui.screens.panes.run_text import BESIDE, RunText
from tui.screens.run_actions import RunActions
from tui.shared_state import SharedState
from tui.widgets.line_view import LineView
from tui.widgets.panel import set_title
from tui.widgets.scroll_page import ScrollPage
from tui.widgets.tab_line import TabLine
from tui.widgets.table_page import TablePage

TABS = ("curves", "attacks", "table", "examples", "system", "log", "spec")
CURVES_EVERY_S = 10.0
"""Seconds between drawings of the charts while steps come in; a new epoch draws them at once."""
LOG_EVERY_TICKS = 4
WAIT_FROM = 100
"""Width from which the head says in words how long a run worked, and how long it waited."""
ROOMY = (184, 44)
"""Width and height from which some pages stand beside the chosen page: the charts of the page
curves keep the width that two of them beside each other need."""


class RunDetailScreen(RunActions):
    """One run, at work or ended: a page for its curves, attacks, table and so on."""

    HELP_TITLE = "A run"
    FOOT = (
        *("turn", "chart", "axis", "log", "lines", "picture", "model", "view"),
        *("export", "attack", "overlay", "stop", "resume", "tag", "delete"),
    )
    MOUSE = (("click", "the name of a page: show it"), *CurvesPane.MOUSE, *RunActions.MOUSE)
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(n + 1), f"page({n})", name, show=False, id=f"run.page-{name}")
            for n, name in enumerate(TABS)
        ),
        Binding("tab,right_square_bracket", "turn(1)", "next page", id="run.next-page"),
        Binding(
            "shift+tab,left_square_bracket", "turn(-1)", "page before", show=False,
            id="run.previous-page",
        ),
        Binding("C", "copy", "copy command", show=False, id="run.copy"),
        Binding("o", "overlay", "overlay marked", id="run.overlay"),
    ]  # fmt: skip

    def __init__(self, state: SharedState, run: Run) -> None:
        super().__init__(state)
        self._shown = run
        self.feed = RunFeed(run, state.store)
        self._text = RunText(state, run, self.feed)
        self._row = read_row(run, now=state.clock())
        self._page = 0
        self._page_chosen = False
        self._curves_at = -CURVES_EVERY_S
        self._curves_stale = True
        self._overlay = False
        self._ticks = 0

    @property
    def shown_run_id(self) -> str:
        return self._shown.id

    @property
    def row(self) -> Row | None:
        return self._row

    def body(self) -> Iterable[Widget]:
        yield TabLine(TABS)
        yield LineView(self._now, id="now")
        all_pages = [
            CurvesPane(id="curves", classes="page"),
            ScrollPage(self._source("attacks"), id="attacks"),
            TablePage(lambda width, fold: self._text.table(width, fold, self.palette), id="table"),
            ExamplesPane(id="examples", classes="page"),
            *(ScrollPage(self._source(name), id=name) for name in ("system", "log", "spec")),
        ]
        beside = [LineView(self._beside(name), id=f"side-{name}") for name in BESIDE]
        for name, panel in zip(BESIDE, beside, strict=True):
            panel.add_class("panel")
            set_title(panel, name)
        side = VerticalScroll(*beside, id="side")
        side.can_focus = False
        yield Horizontal(Vertical(*all_pages, id="pane", classes="panel"), side, id="body")

    def offers(self, action: str) -> bool:
        if action == "overlay":
            return self._overlay or bool(marked_trainings(self.state))
        return super().offers(action)

    def head(self) -> tuple[Text, Text]:
        palette, row = self.palette, self._row
        times = Text(time_words(row.seconds, row.waited, is_live=row.is_live), palette.dim)
        if row.seconds is not None and self.size.width < WAIT_FROM:
            times = Text(duration(row.seconds), palette.dim)
        left = Text(clean(row.title, 80), f"bold {palette.accent}")
        room = self.size.width - times.cell_len - 4
        for words, style in (
            ("" if row.what == row.title else row.what, palette.text),
            (row.data, palette.text),
            (clean(row.id), palette.dim),
            (clean(" ".join(f"#{tag}" for tag in row.tags), 80), palette.accent),
            (clean(row.note, 100), palette.dim),
        ):
            part = Text(f"  {words}" if words else "", style)
            if left.cell_len + part.cell_len <= room:  # whole or not at all
                left.append_text(part)
        return left, times

    # Following the run

    def on_mount(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        """Read all events, a slice at a time, then show them."""
        events = self.feed.read(SLICE_BYTES)
        if any(event["kind"] in ("metric", "started", "checkpoint") for _, event in events):
            self._curves_stale = True
        if self.feed.has_more:
            self.set_timer(0.005, self._catch_up)
            return
        if not self._page_chosen:
            self.choose(self._first_page())
        self._show(force=True)

    def _first_page(self) -> int:
        """The page to open with: a training's curves, an attack's bars, a failure's log."""
        if self._row.state in ("failed", "lost"):
            return TABS.index("log")
        if self._row.kind == "attack":
            return TABS.index("attacks")
        if self._row.kind == "sweep" or (
            self._row.kind == "study" and self._row.state == "completed"
        ):
            return TABS.index("table")
        return 0

    def _read_row(self) -> Row:
        return read_row(self._shown, self.feed.members[self._shown.id].snapshot, self.state.clock())

    def tick(self) -> None:
        self._ticks += 1
        events = self.feed.read(SLICE_BYTES)
        kinds = {event["kind"] for _, event in events}
        if any(e["kind"] == "metric" and e.get("every") == "epoch" for _, e in events):
            self._curves_at = -CURVES_EVERY_S
        if kinds & {"metric", "started", "checkpoint"}:
            self._curves_stale = True
        if self._row.state in LIVE or events or self._ticks % 4 == 0:
            self._row = self._read_row()
        self._show(force="ended" in kinds)

    def home_changed(self) -> None:
        self._row = self._read_row()
        if self.is_ready:
            self.redraw_frame()

    def on_screen_resume(self) -> None:
        if self.is_ready:
            self._show(force=True)

    def on_resize(self, event: Resize) -> None:
        width, height = event.size
        self.set_class(width >= ROOMY[0] and height >= ROOMY[1], "-roomy")
        self.call_after_refresh(self._show, force=True)

    # Showing

    def _show(self, *, force: bool = False) -> None:
        if not self.is_ready:
            return
        self.redraw_frame()
        self.query_one("#now", LineView).redraw()
        if self.query_one("#side").display:
            for beside in BESIDE:
                panel = self.query_one(f"#side-{beside}", LineView)
                panel.display = beside != TABS[self._page]
                panel.redraw()
        name = TABS[self._page]
        if name == "curves":
            self._show_curves(force=force)
        elif name == "examples":
            self._show_examples()
        elif name != "log" or force or self._ticks % LOG_EVERY_TICKS == 0:
            self.query_one(f"#{name}", LineView).redraw()

    def _now(self, width: int) -> Iterable[Line]:
        trouble = self._row.error or self._row.silence(self.state.clock())
        lines = [pages.now_line(self.feed, self._row.state, trouble, width - 1, self.palette)]
        if not (self._row.is_live or trouble):
            room = width - lines[0].cell_len - 3
            for figures in islice(accuracies(self._row, room, self.palette), 1):
                lines[0].append("  ").append_text(figures)
        if self._row.kind == "study" and self._row.is_live:
            lines.append(Text(" ") + pages.strip_line(self.feed, width - 1, self.palette))
        return lines

    def _show_curves(self, *, force: bool) -> None:
        now = self.state.clock()
        if not force and not (self._curves_stale and now - self._curves_at >= CURVES_EVERY_S):
            return
        self._curves_at, self._curves_stale = now, False
        self.query_one(CurvesPane).show(self._curves(), self._no_curves())

    def _no_curves(self) -> str:
        """The text of a chart without values."""
        if self._row.kind == "attack":
            return "an attack run has no curves: see 2 attacks, 3 table, 4 examples"
        return "no values yet" if self._row.state in LIVE else "this run has written no values"

    def _curves(self) -> list[TrainingCurves]:
        """The trainings of the run, and with the overlay those that are marked."""
        members = self.feed.trainings
        curves = [
            training_curves(
                *(self.state, member.run),
                label=label(member.run),
                snapshot=member.snapshot,
            )
            for member in members
        ]
        if self._overlay:
            own_ids = {member.run.id for member in members}
            others = [i for i in marked_trainings(self.state) if i not in own_ids]
            curves += [training_curves(self.state, self.state.run(run_id)) for run_id in others]
        return curves

    def _show_examples(self) -> None:
        attack = self.feed.attack
        path = attack.run.path / "examples.npz" if attack else None
        self.query_one(ExamplesPane).open(path)

    def _source(self, name: str) -> Callable[[int], Iterable[Line]]:
        return lambda width: self._text.page(name, width, self.palette)

    def _beside(self, name: str) -> Callable[[int], Iterable[Line]]:
        return lambda width: self._text.beside(name, width, self.palette)

    # Keys

    def on_tab_line_clicked(self, message: TabLine.Clicked) -> None:
        self.choose(message.page)

    def choose(self, page: int) -> None:
        """Show a page, counted from 0."""
        self._page, self._page_chosen = page, True
        self.query_one(TabLine).page = page
        for name in TABS:
            self.query_one(f"#{name}").set_class(name == TABS[page], "-shown")
        shown = self.query_one(f"#{TABS[page]}")
        if shown.can_focus:
            shown.focus()
        self.call_after_refresh(self._show, force=True)

    def action_page(self, page: int) -> None:
        self.choose(page)

    def action_turn(self, by: int) -> None:
        self.choose((self._page + by) % len(TABS))

    def action_copy(self) -> None:
        self.copy(pages.again(self._shown), "the command")

    def action_overlay(self) -> None:
        self._overlay = not self._overlay
        if self._overlay and not marked_trainings(self.state):
            self._overlay = False
            self.tell("mark runs in the list first (space)", "warning")
        self.choose(0)

    def after_delete(self) -> None:
        self.action_back()
