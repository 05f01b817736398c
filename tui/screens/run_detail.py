"""The screen of one run, live or past: curves, attacks, table, examples, system, log, spec."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Click, Resize
from textual.widget import Widget

from runs.errors import UserError
from runs.results import compare
from runs.store import LIVE, Run, Store
from tui.charts.training_curves import TrainingCurves
from tui.render.lines import Line
from tui.render.text import clean, duration
from tui.run_list.feed import SLICE_BYTES, RunFeed
from tui.run_list.row import Row, read_row
from tui.screens.panes import pages
from tui.screens.panes.curves import CurvesPane, colours, course_label
from tui.screens.panes.examples import ExamplesPane
from tui.screens.panes.table import charts_of, table_page
from tui.screens.run_actions import RunActions
from tui.widgets.line_view import LineView
from tui.widgets.scroll_page import ScrollPage

TABS = ("curves", "attacks", "table", "examples", "system", "log", "spec")


CURVES_EVERY_S = 10.0
"""Charts are drawn again on a new epoch, and at most so often while steps come in."""


LOG_EVERY_TICKS = 4


ROOMY = (176, 44)
"""Size from which attacks, table and machine stand beside the chosen page."""


class TabLine(LineView):
    """The names of the pages; a click chooses one."""

    def __init__(self, chosen: Callable[[int], None]) -> None:
        super().__init__(id="tabs")
        self._chosen = chosen

    def on_click(self, event: Click) -> None:
        at = 1
        for number, name in enumerate(TABS):
            at += cell_len(f"{number + 1} {name}   ")
            if event.x < at:
                self._chosen(number)
                return


class RunDetailScreen(RunActions):
    """A run's screen."""

    HELP_TITLE = "A run"
    FOOT = ("turn", "chart", "axis", "log", "picture", "model", "view", "export", "stop")
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
        Binding("o", "overlay", "overlay marked runs", show=False, id="run.overlay"),
        Binding("a", "attack", "attack it", show=False, id="run.attack"),
    ]  # fmt: skip

    def __init__(self, run: Run, store: Store, clock: Callable[[], float]) -> None:
        super().__init__()
        self._shown = run
        self.feed = RunFeed(run, store)
        self._clock = clock
        self._row = read_row(run, now=clock())
        self._page = 0
        self._page_chosen = False
        self._curves_at = -CURVES_EVERY_S
        self._curves_stale = True
        self._overlay = False
        self._ticks = 0
        self._table: dict[str, Any] | None = None
        self._table_for: object = None

    @property
    def run_id(self) -> str:
        return self._shown.id

    @property
    def row(self) -> Row | None:
        return self._row

    def body(self) -> Iterable[Widget]:
        yield TabLine(self.choose)
        yield LineView(self._now, id="now")
        pages_of_it = [
            CurvesPane(id="curves", classes="page"),
            *(ScrollPage(self._source(name), id=name) for name in ("attacks", "table")),
            ExamplesPane(id="examples", classes="page"),
            *(ScrollPage(self._source(name), id=name) for name in ("system", "log", "spec")),
        ]
        side = VerticalScroll(
            *(LineView(self._side(n), id=f"side-{n}") for n in range(3)), id="side"
        )
        side.can_focus = False
        yield Horizontal(Vertical(*pages_of_it, id="pane"), side, id="body")

    def head(self) -> tuple[Text, Text]:
        palette, row = self.palette, self._row
        left = Text.assemble((clean(row.title, 80), f"bold {palette.accent}"), "  ")
        left.append(f"{row.what}  {row.data}  ", palette.text)
        left.append(clean(row.id), palette.dim)
        if row.tags:
            left.append(clean("  " + " ".join(f"#{tag}" for tag in row.tags), 80), palette.accent)
        if row.note:
            left.append(f"  {clean(row.note, 100)}", palette.dim)
        return left, Text(duration(row.seconds) if row.seconds is not None else "", palette.dim)

    # Life

    def on_mount(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        """Read what there is, a slice at a time, then show it."""
        came = self.feed.read(SLICE_BYTES)
        if any(event["kind"] in ("metric", "started", "checkpoint") for _, event in came):
            self._curves_stale = True
        if self.feed.has_more:
            self.set_timer(0.005, self._catch_up)
            return
        if not self._page_chosen:
            self.choose(self._first_page())
        self._show(force=True)

    def _first_page(self) -> int:
        """What one would want to see: a training's course, an attack's bars, a failure's log."""
        if self._row.state in ("failed", "lost"):
            return TABS.index("log")
        if self._row.kind == "attack":
            return TABS.index("attacks")
        if self._row.kind == "study" and self._row.state == "completed":
            return TABS.index("table")
        return 0

    def _read_row(self) -> Row:
        return read_row(self._shown, self.feed.members[self._shown.id].snapshot, self._clock())

    def tick(self) -> None:
        self._ticks += 1
        came = self.feed.read(SLICE_BYTES)
        kinds = {event["kind"] for _, event in came}
        if any(e["kind"] == "metric" and e.get("every") == "epoch" for _, e in came):
            self._curves_at = -CURVES_EVERY_S
        if kinds & {"metric", "started", "checkpoint"}:
            self._curves_stale = True
        if self._row.state in LIVE or came or self._ticks % 4 == 0:
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
        self.query_one("#tabs", TabLine).show(self._tab_line)
        if self.query_one("#side").display:
            for number in range(3):
                self.query_one(f"#side-{number}", LineView).redraw()
        name = TABS[self._page]
        if name == "curves":
            self._show_curves(force=force)
        elif name == "examples":
            self._show_examples()
        elif name != "log" or force or self._ticks % LOG_EVERY_TICKS == 0:
            self.query_one(f"#{name}", LineView).redraw()

    def _tab_line(self, _: int) -> list[Line]:
        line = Text(" ")
        for number, name in enumerate(TABS):
            chosen = number == self._page
            line.append(f"{number + 1} ", self.palette.dim)
            line.append(
                name, f"bold underline {self.palette.accent}" if chosen else self.palette.dim
            )
            line.append("   ")
        return [line]

    def _now(self, width: int) -> list[Line]:
        return [pages.now_line(self.feed, self._row.state, self._row.error, width, self.palette)]

    def _show_curves(self, *, force: bool) -> None:
        now = self._clock()
        if not force and not (self._curves_stale and now - self._curves_at >= CURVES_EVERY_S):
            return
        self._curves_at, self._curves_stale = now, False
        self.query_one(CurvesPane).show(self._courses(), self._no_curves())

    def _no_curves(self) -> str:
        if self._row.kind == "attack":
            return "an attack run has no curves: see 2 attacks, 3 table, 4 examples"
        return "no values yet" if self._row.state in LIVE else "this run has written no values"

    def _courses(self) -> list[TrainingCurves]:
        members = self.feed.trainings
        looks = colours(self.house.looks, (member.run.id for member in members))
        courses = [
            TrainingCurves(
                member.run.role or member.run.mode or "run", looks[member.run.id], member.snapshot
            )
            for member in members
        ]
        if self._overlay:
            own = {member.run.id for member in members}
            courses += [
                self._other(run_id) for run_id in self._trainings_marked() if run_id not in own
            ]
        return courses

    def _trainings_marked(self) -> list[str]:
        rows = self.house.feed.rows
        found = [row for row in rows.values() if row.id in self.house.marked]
        found += [row for row in rows.values() if row.parent in self.house.marked]
        return list(dict.fromkeys(row.id for row in found if row.kind == "train"))

    def _other(self, run_id: str) -> TrainingCurves:
        """A marked run's course."""
        run = self.house.run_of(run_id)
        look = colours(self.house.looks, [run_id])[run_id]
        label = course_label(str(run.name or ""), str(run.mode or ""), run.id)
        return TrainingCurves(label, look, self.house.courses.snapshot(run))

    def _show_examples(self) -> None:
        attack = self.feed.attack
        path = attack.run.path / "examples.npz" if attack else None
        self.query_one(ExamplesPane).open(path)

    def _source(self, name: str) -> Callable[[int], Iterable[Line]]:
        return lambda width: self._lines(name, width)

    def _lines(self, name: str, width: int) -> Iterable[Line]:
        palette = self.palette
        match name:
            case "attacks":
                return pages.attack_bars(self.feed, width, palette)
            case "table":
                return table_page(self._shown, self._comparison(), width, palette)
            case "system":
                return pages.system_page(self.feed, self._clock(), width, palette)
            case "log":
                return pages.log_page(self.feed, width, palette)
            case _:
                return pages.spec_page(self._shown, width, palette)

    def _comparison(self) -> dict[str, Any] | None:
        """The table, asked for again only when a run of the home has changed."""
        rows = self.house.feed.rows.values()
        key = (self._row.state, tuple((r.id, r.state) for r in rows if r.kind == "attack"))
        if key != self._table_for:
            self._table_for = key
            try:
                self._table = compare(self.house.store, [self._shown.id])
            except (
                UserError,
                KeyError,
                TypeError,
                AttributeError,
            ):  # none yet, or a foreign result
                self._table = None
        return self._table

    def _side(self, number: int) -> Callable[[int], Iterable[Line]]:
        name = ("attacks", "table", "system")[number]

        def lines(width: int) -> Iterable[Line]:
            if name == TABS[self._page]:
                return  # it stands beside
            data = self._comparison() if name == "table" else None
            charts = charts_of(data, width, self.palette) if data else []
            yield Text(name, self.palette.title)
            yield from charts or self._lines(name, width)  # charts fit where that table doesn't
            yield Text()

        return lines

    # Keys

    def choose(self, page: int) -> None:
        """Show a page."""
        self._page, self._page_chosen = page, True
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
        self.house.copy(pages.again(self._shown), "the command")

    def action_overlay(self) -> None:
        self._overlay = not self._overlay
        if self._overlay and not self._trainings_marked():
            self._overlay = False
            self.house.tell("mark runs in the list first (space)", "warning")
        self.choose(0)

    def action_attack(self) -> None:
        from tui.screens.new_run import NewRunScreen

        self.house.push_screen(NewRunScreen([self._shown.id], what="attack"))

    def after_delete(self) -> None:
        self.action_back()
