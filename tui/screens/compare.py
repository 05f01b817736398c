"""The comparison of runs and checkpoints: table, curves, and the fields in which specs differ."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from runs import seed_formats
from runs.errors import UserError
from runs.formats import attack_names
from runs.result_types import Table
from runs.results import compare, split_checkpoint
from runs.seeds import MeanTable, mean_over_seeds
from runs.store import Run
from tui.render import poster
from tui.render.lines import Line, wrapped
from tui.render.rate_table import ModelRates
from tui.render.seed_table import mean_lines
from tui.render.table_notes import Fold
from tui.render.text import clean, run_count
from tui.run_list.row import dicts
from tui.screens.panes.curves import CurvesPane, training_curves
from tui.screens.panes.spec_page import difference_page
from tui.screens.panes.table import comparison_lines
from tui.screens.run_actions import RunActions
from tui.shared_state import SharedState
from tui.widgets.line_view import LineView
from tui.widgets.scroll_page import ScrollPage
from tui.widgets.tab_line import TabLine
from tui.widgets.table_page import TablePage

PAGES = ("table", "curves", "specs")
CURVES_EVERY_TICKS = 20


def _has_one_seed(table: Table) -> bool:
    return table["threat_model"].get("seed") is not None


def _title(run: Run) -> str:
    """The run's name, else its role, mode or kind."""
    return clean(run.name or run.role or run.mode or run.kind, 40)


class CompareScreen(RunActions):
    """A comparison of runs and checkpoints, named as ``advtui compare`` takes them."""

    HELP_TITLE = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "page(0)", "table", show=False, id="compare.table"),
        Binding("2", "page(1)", "curves", show=False, id="compare.curves"),
        Binding("3", "page(2)", "specs", show=False, id="compare.specs"),
        Binding("tab", "turn(1)", "next page", show=False, id="compare.next-page"),
        Binding("shift+tab", "turn(-1)", "page before", show=False, id="compare.previous-page"),
        Binding("p", "poster", "poster's figures", id="compare.poster"),
        Binding("w", "words", "choose runs", id="compare.words"),
    ]

    def __init__(self, state: SharedState, names: Sequence[str]) -> None:
        super().__init__(state)
        self._names = list(names)
        self._poster = False
        self._page = 0
        self._ticks = 0
        self._states: list[tuple[str, str]] = []
        self._missing: set[str] = set()

    def body(self) -> Iterable[Widget]:
        yield TabLine(PAGES)
        pages = (
            TablePage(self._table, id="table"),
            CurvesPane(id="curves", classes="page"),
            ScrollPage(self._specs, id="specs"),
        )
        yield Vertical(*pages, id="pane", classes="panel")

    def head(self) -> tuple[Text, Text]:
        count = len(self._names)
        left = Text("Compare", f"bold {self.palette.accent}")
        for word in self._names:
            title, digits = self._named(word)
            left.append(f"  {title}", self.palette.text)
            left.append(digits, self.palette.dim)
        return left, Text(run_count(count), self.palette.dim)

    def _named(self, word: str) -> tuple[str, str]:
        """The title of a run, and what tells it from others: ``robust`` and `` aa03:last``."""
        name, checkpoint = split_checkpoint(word)
        try:
            run_id = name if name in self.state.feed.rows else self.state.store.find(name).id
        except UserError:
            return clean(word, 80), ""
        of = f":{checkpoint}" if checkpoint else ""
        return _title(self.state.run(run_id)), f" {run_id[-4:]}{of}"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The poster's figures stand in the table alone."""
        if action == "poster":
            return PAGES[self._page] == "table"
        return super().check_action(action, parameters)

    def export_words(self) -> Sequence[str]:
        return self._names

    def on_mount(self) -> None:
        self._choose(0)

    def home_changed(self) -> None:
        states = [(row.id, row.state) for row in self.state.feed.rows.values()]
        if states != self._states:  # a new table reads the files of every run
            self._states = states
            if PAGES[self._page] == "table":
                self.query_one("#table", LineView).redraw()

    def tick(self) -> None:
        self._ticks += 1
        if PAGES[self._page] == "curves" and self._ticks % CURVES_EVERY_TICKS == 0:
            self._show_curves()

    def on_screen_resume(self) -> None:
        if self.is_ready:
            self.redraw_frame()
            self.home_changed()

    # Pages

    def _table(self, width: int, fold: Fold) -> Iterable[Line]:
        mean = self._mean()
        try:
            table = compare(self.state.store, self._names)
        except UserError as error:
            if mean is None:
                yield from wrapped(Text(clean(error, 600), self.palette.warn), width)
                return
        else:
            if mean is None or _has_one_seed(table):
                yield from self._comparison(table, fold, width)
        if mean is not None:
            others = self._others(attack_names(mean["rows"]))
            yield from mean_lines(mean, others, fold, width, self.palette)
        if self._poster:
            yield from wrapped(Text(poster.NOTE, self.palette.dim), width, indent=2)

    def _mean(self) -> MeanTable | None:
        """The table over seeds; None unless the runs are several seeds of one recipe."""
        try:
            mean = mean_over_seeds(self.state.store, self._names)
        except UserError:
            return None
        return mean if len(mean["seeds"]) > 1 else None

    def export_text(self, words: Sequence[str], format_: str) -> str:
        """The comparison; of several seeds of the evaluation the mean."""
        mean = self._mean()
        if mean is not None and not _has_one_seed(compare(self.state.store, words)):
            return seed_formats.FORMATS[format_](mean)
        return super().export_text(words, format_)

    def _comparison(self, table: Table, fold: Fold, width: int) -> Iterable[Line]:
        others = self._others(attack_names(table["rows"]))
        yield from comparison_lines(table, fold, width, self.palette, others)

    def _others(self, attacks: Collection[str]) -> list[ModelRates]:
        """The poster's rows under the attacks of a table, if they are asked for."""
        return poster.poster_rows(attacks) if self._poster else []

    def _runs(self) -> list[Run]:
        """The named runs that still exist; one notice for each that does not."""
        runs = {}
        for name in self._names:
            try:
                run = self.state.store.find(split_checkpoint(name)[0])
            except UserError as error:
                if name not in self._missing:
                    self._missing.add(name)
                    self.tell(str(error), "warning")
            else:
                runs[run.id] = run
        return list(runs.values())

    def _trainings(self, run: Run) -> list[Run]:
        """The run itself, a study's trainings, or those whose checkpoints an attack run attacks."""
        match run.kind:
            case "train":
                return [run]
            case "study":
                return [child for child in self.state.store.children(run) if child.kind == "train"]
            case "attack":
                references = dicts(run.raw_spec.get("checkpoints"))
                ids = dict.fromkeys(str(reference.get("run")) for reference in references)
                return [self.state.run(run_id) for run_id in ids if run_id in self.state.feed.rows]
            case _:
                return []

    def _show_curves(self) -> None:
        trainings = {
            training.id: training for run in self._runs() for training in self._trainings(run)
        }
        curves = [training_curves(self.state, training) for training in trainings.values()]
        self.query_one(CurvesPane).show(curves, "none of these runs is a training")

    def _specs(self, width: int) -> Iterable[Line]:
        runs = self._alike()
        if len(runs) < 2:
            yield Text("two runs are needed for a difference: w chooses them", self.palette.dim)
            return
        columns = [(_title(run), run.id[-4:], run.raw_spec) for run in runs]
        yield from difference_page(columns, width, self.palette)

    def _alike(self) -> list[Run]:
        """The runs whose specs have the same fields, so that they line up.

        Beside a training a study stands for its trainings, beside an attack run for its attack
        run, and alone for its trainings.
        """
        runs = self._runs()
        kinds = {run.kind for run in runs} - {"study"} or ({"train"} if len(runs) == 1 else set())
        found: dict[str, Run] = {}
        for run in runs:
            children = self.state.store.children(run) if run.kind == "study" else []
            of_kind = [child for child in children if child.kind in kinds]
            found.update({one.id: one for one in of_kind or [run]})
        return list(found.values())

    # Keys

    def on_tab_line_clicked(self, message: TabLine.Clicked) -> None:
        self._choose(message.page)

    def _choose(self, page: int) -> None:
        self._page = page
        self.refresh_bindings()
        for name in PAGES:
            self.query_one(f"#{name}").set_class(name == PAGES[page], "-shown")
        shown = self.query_one(f"#{PAGES[page]}")
        shown.focus()
        self.query_one(TabLine).page = page
        if PAGES[page] == "curves":
            self.call_after_refresh(self._show_curves)
        elif isinstance(shown, LineView):
            self.call_after_refresh(shown.redraw)

    def action_page(self, page: int) -> None:
        self._choose(page)

    def action_turn(self, by: int) -> None:
        self._choose((self._page + by) % len(PAGES))

    def action_poster(self) -> None:
        self._poster = not self._poster
        self._choose(0)

    def action_words(self) -> None:
        from tui.screens.dialogs import Write

        def written(text: str | None) -> None:
            if text is not None and text.split():
                self._names = text.split()
                self.redraw_frame()
                self._choose(self._page)

        self.app.push_screen(
            Write("Runs or checkpoints", " ".join(self._names), "such as @1  3f9a:best_robust"),
            written,
        )
