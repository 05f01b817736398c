"""The comparison of runs and checkpoints: table, curves, and the fields in which specs differ."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from runs import seed_formats
from runs.errors import UserError
from runs.result_types import Cell, Row, Table
from runs.results import compare, split_checkpoint
from runs.seeds import MeanTable, mean_over_seeds
from runs.store import Run
from tui.render.comparison_table import model_rates
from tui.render.lines import Line, wrapped
from tui.render.seed_table import mean_lines
from tui.render.table_notes import Fold
from tui.render.text import clean
from tui.run_list.row import dicts
from tui.screens.panes.curves import CurvesPane, training_curves
from tui.screens.panes.spec_page import differences
from tui.screens.panes.table import comparison_lines
from tui.screens.run_actions import RunActions
from tui.shared_state import SharedState
from tui.widgets.line_view import LineView
from tui.widgets.scroll_page import ScrollPage
from tui.widgets.tab_line import TabLine
from tui.widgets.table_page import TablePage

PAGES = ("table", "curves", "specs")
CURVES_EVERY_TICKS = 20


def _printed_row(model: str, accuracy: float, targeted: float, untargeted: float) -> Row:
    def cells(success: float) -> list[Cell]:
        cell: Cell = {
            "eps": None,
            "success_rate": success,
            "success_ci95": None,
            "robust_accuracy": None,
            "robust_ci95": None,
        }
        return [cell]

    return {
        "model": model,
        "accuracy": accuracy,
        "accuracy_ci95": None,
        "attacks": {"pgd-targeted": cells(targeted), "pgd-untargeted": cells(untargeted)},
    }


POSTER = (
    _printed_row("poster: Baseline", 0.6857, 0.7614, 0.7545),
    _printed_row("poster: Best clean", 0.4733, 0.1750, 0.6088),
    _printed_row("poster: Best robust", 0.4536, 0.2192, 0.5544),
)
"""Figures as printed on the poster that this study reproduces."""
POSTER_NOTE = (
    "poster: printed without ε, steps or denominators (CIFAR-100, ResNet-18); for orientation only"
)


def _has_one_seed(table: Table) -> bool:
    return table["threat_model"].get("seed") is not None


class CompareScreen(RunActions):
    """A comparison of runs and checkpoints, named as ``advtui compare`` takes them."""

    HELP_TITLE = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "page(0)", "table", id="compare.table"),
        Binding("2", "page(1)", "curves", id="compare.curves"),
        Binding("3", "page(2)", "specs", id="compare.specs"),
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
        left.append(f"  {clean(', '.join(self._names), 300)}", self.palette.dim)
        return left, Text("1 run" if count == 1 else f"{count} runs", self.palette.dim)

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
            names = {name for row in mean["rows"] for name in row["attacks"]}
            poster = [model_rates(row) for row in self._poster_rows(names)]
            yield from mean_lines(mean, poster, fold, width, self.palette)
        if self._poster:
            yield from wrapped(Text(POSTER_NOTE, self.palette.dim), width)

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
        names = {name for row in table["rows"] for name in row["attacks"]}
        table["rows"] += self._poster_rows(names)
        yield from comparison_lines(table, fold, width, self.palette)

    def _poster_rows(self, names: Collection[str]) -> list[Row]:
        """The poster's rows under the attacks of a table, if they are asked for."""
        return [
            {
                **row,
                "attacks": {name: row["attacks"][name] for name in row["attacks"] if name in names},
            }
            for row in POSTER
            if self._poster
        ]

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
        runs = self._runs()
        if len(runs) < 2:
            yield Text("two runs are needed for a difference: w chooses them", self.palette.dim)
            return
        rows = differences([run.raw_spec for run in runs])
        keys = min(max((len(key) for key, _ in rows), default=8), max(width // 3, 12))
        room = max((width - keys - 2) // len(runs) - 2, 6)
        head = "".join(
            f"  {clean(f'{run.mode or run.kind} {run.id[-4:]}', room):<{room}}" for run in runs
        )
        yield Text(f"{'':<{keys}}{head}", self.palette.title)
        if not rows:
            yield Text("the specs are the same", self.palette.dim)
        for key, values in rows:
            line = Text(f"{clean(key, keys):<{keys}}", self.palette.dim)
            for value in values:
                line.append(f"  {clean(value, room):<{room}}", self.palette.text)
            yield line

    # Keys

    def on_tab_line_clicked(self, message: TabLine.Clicked) -> None:
        self._choose(message.page)

    def _choose(self, page: int) -> None:
        self._page = page
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
