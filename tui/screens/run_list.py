"""The list of all runs in the home: filter, order, mark, open, compare."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Input

from runs.run_state import LIVE
from tui.messages import OpenComparison, OpenNewRun, OpenRun
from tui.render.text import clean, home_short, run_count
from tui.run_list.filter import COLUMNS, arrange, grouping, matching
from tui.run_list.machine_load import Machine
from tui.run_list.row import Row
from tui.screens.panes.preview import Preview
from tui.screens.run_actions import ON_RUNS, RunActions
from tui.shared_state import SharedState
from tui.widgets.foot_line import Hint
from tui.widgets.line_view import LineView
from tui.widgets.panel import set_title
from tui.widgets.run_list import RunList

WIDE, VERY_WIDE = 116, 170
"""Widths in cells from which a narrow or a wide preview stands beside the list."""
AGES_EVERY_TICKS = 20
"""While nothing runs, ages are drawn again at this interval."""


class RunListScreen(RunActions):
    """All runs of the home, with a preview of the run under the cursor."""

    HELP_TITLE = "Runs"
    FOOT = (
        *("open", "new", "filter", "mark", "unmark", "compare"),
        *("export", "attack", "stop", "resume", "tag", "delete", "order"),
    )
    MOUSE = (
        ("click", "the head of a column: sort by it"),
        ("click", "it again: turn the order round"),
        ("click", "▸ or ▾: unfold or fold a study"),
        ("click", "left of it: mark a run"),
        ("double click", "open a run"),
        ("wheel", "scroll"),
        *RunActions.MOUSE,
    )
    SIGNS = (
        ("● ◌ ◎", "at work, queued, unresponsive"),
        ("✓ ✗ ‖ ?", "completed, failed, interrupted, lost"),
        ("*", "marked"),
        ("!", "there are warnings"),
        ("v", "figure of the validation split"),
        ("@ ε", "robust at another ε than usual"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "clear filter", id="runs.clear"),
        Binding("enter", "open", "open", id="runs.open"),
        Binding("n", "new", "new run", id="runs.new"),
        Binding("slash", "filter", "filter", id="runs.filter"),
        Binding("space", "mark", "mark", id="runs.mark"),
        Binding("c", "compare", "compare", id="runs.compare"),
        Binding("o", "order", "order", id="runs.order"),
        Binding("O", "turn", "turn order round", show=False, id="runs.turn-order"),
        Binding("u", "unmark", "unmark", id="runs.unmark"),
        Binding("T", "trash", "trash", show=False, id="runs.trash"),
    ]

    def __init__(self, state: SharedState) -> None:
        super().__init__(state)
        self._order = "age"
        self._turned = False
        self._filter = ""
        self._matches = True
        self._hidden = 0
        """How many runs the filter hides."""
        self._ticks = 0
        self._machines: Sequence[Machine] = ()
        """The load of the machines at work, when the side was drawn last."""
        self._folded: dict[str, bool] = {}
        """Studies that the user has folded or unfolded."""

    def body(self) -> Iterable[Widget]:
        filter_line = Input(
            placeholder="words  mode:robust  state:running  acc>50  tag:…  group:recipe",
            id="filter",
        )
        filter_line.can_focus = False
        yield filter_line
        runlist = RunList(id="list")
        preview, machine = Preview(self.state, id="preview"), LineView(self._machine, id="machine")
        for panel in (runlist, preview, machine):
            panel.add_class("panel")
        set_title(runlist, "runs")
        yield Horizontal(runlist, Vertical(preview, machine, id="side"), id="middle")
        yield LineView(self._empty, id="empty")

    @property
    def runlist(self) -> RunList:
        return self.query_one(RunList)

    @property
    def row(self) -> Row | None:
        return self.runlist.current

    @property
    def target_rows(self) -> Sequence[Row]:
        """The marked runs, also those that the filter hides; else the one at the cursor."""
        marked = self.state.marked
        if not marked:
            return super().target_rows
        return [row for row in self.state.feed.rows.values() if row.id in marked]

    def head(self) -> tuple[Text, Text]:
        palette = self.palette
        every = self.state.feed.rows
        rows = [row for row in every.values() if row.parent not in every]  # what a person started
        states = [row.state for row in rows]
        right = Text(run_count(len(rows)), palette.dim)
        if running := states.count("running"):
            right.append(f"  ● {running} at work", palette.accent)
        if queued := states.count("queued"):
            right.append(f"  {palette.state('queued')[0]} {queued} queued", palette.dim)
        if silent := states.count("unresponsive"):
            right.append(f"  {palette.state('unresponsive')[0]} {silent} unresponsive", palette.bad)
        if self._order != "age" or self._turned:
            right.append(f"  by {self._order} {'↑' if self._turned else '↓'}", palette.dim)
        if self.state.marked:
            right.append(f"  * {len(self.state.marked)} marked", palette.accent)
        left = Text.assemble(("advtui", f"bold {palette.accent}"), "  ")
        if self.state.feed.problem:
            left.append(clean(self.state.feed.problem), palette.bad)
            return left, right
        if not self._filter:
            left.append(clean(home_short(self.state.store.home), 200), palette.dim)
            return left, right
        left.append(f"/ {clean(self._filter, 60)}", palette.accent)
        if self._hidden:
            none = "" if self._matches else "no run matches, "
            colour = palette.dim if self._matches else palette.warn
            left.append(f"  {none}{run_count(self._hidden)} hidden", colour)
        return left, right

    # The foot

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs the keys that need one are off."""
        match action:
            case "filter" | "order" | "turn":
                return bool(self.state.feed.rows)
            case "open" | "mark":
                return self.row is not None
            case "compare":
                return bool(self.target_rows)
            case "unmark":
                return bool(self.state.marked)
            case _:
                return super().check_action(action, parameters)

    def offers(self, action: str) -> bool:
        return bool(self._filter) if action == "back" else super().offers(action)

    def hint_text(self, action: str, description: str) -> str:
        marks = len(self.state.marked)
        if marks and action in ("compare", "unmark"):
            return f"{description} {marks}"
        if marks and action in ON_RUNS:  # also with one mark, which may not be at the cursor
            return f"{description} {len(self.affected(action))}"
        return super().hint_text(action, description)

    def foot(self) -> Sequence[str]:
        """With marks those keys come first that act on all marked runs."""
        if not self.state.marked:
            return self.FOOT
        return ("mark", "unmark", "compare", *ON_RUNS, *self.FOOT)

    def hints(self) -> list[Hint]:
        if isinstance(self.focused, Input):
            return [
                Hint("⏎", "keep the filter", "keep_filter", self),
                Hint("esc", "clear it", "back", self),
            ]
        return super().hints()

    def on_mount(self) -> None:
        self.runlist.focus()
        self.home_changed()

    def on_resize(self, event: Resize) -> None:
        width = event.size.width
        self.set_class(width >= WIDE, "-wide")
        self.set_class(width >= VERY_WIDE, "-very-wide")
        self.call_after_refresh(self._redraw_side)

    def tick(self) -> None:
        self._ticks += 1
        live = any(row.is_live for row in self.state.feed.rows.values())
        if live or self._ticks % AGES_EVERY_TICKS == 0:
            self._show()

    def home_changed(self) -> None:
        self._show()

    def on_screen_resume(self) -> None:
        self.state.snapshots.forget()  # the screens of curves are above this one
        if self.is_ready:
            self._show()

    def _show(self) -> None:
        """Filter, fold and sort the rows, and show them."""
        state = self.state
        rows: Sequence[Row] = list(state.feed.rows.values())
        state.marked &= state.feed.rows.keys()
        self.set_class(not rows, "-empty")
        matches = matching(rows, self._filter)
        self._matches, self._hidden = bool(matches) or not rows, len(rows) - len(matches)
        parents = {row.parent for row in matches}
        folds = {row.id: self._is_folded(row) for row in matches if row.id in parents}
        arranged = arrange(
            matches,
            by=self._order,
            reverse=self._turned,
            unfolded=lambda row: not folds.get(row.id, False),
            group=grouping(self._filter),
        )
        self.runlist.show(
            arranged,
            folds=folds,
            marked=frozenset(state.marked),
            sorted_by=(self._order, self._turned),
            now=state.clock(),
        )
        if not rows:
            self.query_one("#empty", LineView).redraw()
        self.redraw_frame()
        self._redraw_side()

    def _is_folded(self, study: Row) -> bool:
        """As the user has chosen; else folded unless the study runs or a filter is set."""
        return self._folded.get(study.id, not study.is_live and not self._filter)

    def _redraw_side(self) -> None:
        """Draw what stands beside the list; the machine's panel is there while runs work."""
        if not self.query_one("#side").display:
            return
        row = self.row
        preview = self.query_one(Preview)
        preview.show_row(row)
        set_title(preview, row.label if row else "")
        self._machines = machines = self.state.feed.loads.machines(self.state.clock())
        panel = self.query_one("#machine", LineView)
        panel.display = bool(machines)
        set_title(panel, " · ".join(machine.host for machine in machines))
        panel.redraw()

    def _machine(self, width: int) -> Iterable[Text]:
        from tui.screens.panes.machine import machine_lines

        return machine_lines(self._machines, width, self.palette)

    def _empty(self, width: int) -> Iterable[Text]:
        palette = self.palette
        yield Text()
        if self.state.feed.problem:
            yield Text(f"  {clean(self.state.feed.problem)}", palette.bad)
            return
        from tui.screens.panes.greeting import greeting

        yield from greeting(width, palette)

    # Keys

    def action_back(self) -> None:
        """Escape: close the filter, then clear it."""
        self._filter = ""
        line = self.query_one("#filter", Input)
        line.value = ""
        self.action_keep_filter()
        self._show()

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.add_class("-open")
        line.can_focus = True
        line.focus()

    def action_keep_filter(self) -> None:
        """Close the line of the filter, as enter does."""
        line = self.query_one("#filter", Input)
        self.runlist.focus()
        line.can_focus = False
        line.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._show()

    def on_input_submitted(self) -> None:
        self.action_keep_filter()

    def action_order(self) -> None:
        names = list(COLUMNS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self._show()

    def action_trash(self) -> None:
        from tui.screens.actions.trash import open_trash

        open_trash(self)

    def action_turn(self) -> None:
        self._turned = not self._turned
        self._show()

    def action_mark(self) -> None:
        if self.row is not None:
            self._toggle_mark(self.row)
            self.runlist.action_move(1)

    def _toggle_mark(self, row: Row) -> None:
        self.state.marked ^= {row.id}
        self._show()

    def action_unmark(self) -> None:
        self.state.marked.clear()
        self._show()

    def action_open(self) -> None:
        if self.row is not None:
            self.app.post_message(OpenRun(self.row.id))

    def action_new(self) -> None:
        run_ids = list(self.state.marked)
        if not run_ids and self.row is not None and self.row.state not in LIVE:
            run_ids = [self.row.id]
        self.app.post_message(OpenNewRun(run_ids))

    def action_compare(self) -> None:
        if self.target_rows:
            self.app.post_message(OpenComparison([row.id for row in self.target_rows]))

    def on_run_list_moved(self) -> None:
        self.redraw_frame()  # what its keys can do depends on the run
        self._redraw_side()

    def on_run_list_opened(self) -> None:
        self.action_open()

    def on_run_list_mark_clicked(self, event: RunList.MarkClicked) -> None:
        self._toggle_mark(event.row)

    def on_run_list_head_clicked(self, event: RunList.HeadClicked) -> None:
        """Sort by the column; by the same column again, turn the order round."""
        self._turned = event.column == self._order and not self._turned
        self._order = event.column
        self._show()

    def on_run_list_folded(self, event: RunList.Folded) -> None:
        self._folded[event.row.id] = event.folded
        self._show()
