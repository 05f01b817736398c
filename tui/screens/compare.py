"""Runs and checkpoints side by side: their table, their curves, and where their specs differ."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget

from runs import seed_formats
from runs.errors import UserError
from runs.results import compare, split_checkpoint
from runs.seeds import mean_over_seeds
from runs.store import Run
from tui.charts.training_curves import TrainingCurves
from tui.render.lines import Line, lines_of, wrapped
from tui.render.seed_table import mean_comparison
from tui.render.text import clean
from tui.run_list.row import dicts
from tui.screens.panes import pages
from tui.screens.panes.curves import CurvesPane, colours, course_label
from tui.screens.panes.table import comparison_lines
from tui.screens.run_actions import RunActions
from tui.widgets.line_view import LineView
from tui.widgets.scroll_page import ScrollPage

PAGES = ("table", "curves", "specs")
CURVES_EVERY_TICKS = 20


def _printed(model: str, accuracy: float, targeted: float, untargeted: float) -> dict[str, Any]:
    def cell(success: float) -> dict[str, Any]:
        return {
            "eps": None,
            "success_rate": success,
            "success_ci95": None,
            "robust_accuracy": None,
            "robust_ci95": None,
        }

    return {
        "model": model,
        "accuracy": accuracy,
        "accuracy_ci95": None,
        "attacks": {"pgd-targeted": cell(targeted), "pgd-untargeted": cell(untargeted)},
    }


POSTER = (
    _printed("poster: Baseline", 0.6857, 0.7614, 0.7545),
    _printed("poster: Best clean", 0.4733, 0.1750, 0.6088),
    _printed("poster: Best robust", 0.4536, 0.2192, 0.5544),
)
"""Figures as printed on the poster that this study reproduces."""
POSTER_NOTE = (
    "poster: printed without ε, steps or denominators (CIFAR-100, ResNet-18); for orientation only"
)


class CompareScreen(RunActions):
    """A comparison of the runs that ``words`` name, as ``advtui compare`` takes them."""

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

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self._words = list(words)
        self._poster = False
        self._page = 0
        self._ticks = 0
        self._states: list[tuple[str, str]] = []
        self._missing: set[str] = set()

    def body(self) -> Iterable[Widget]:
        yield LineView(self._tab_line, id="words")
        yield ScrollPage(self._table, id="table")
        yield CurvesPane(id="curves", classes="page")
        yield ScrollPage(self._specs, id="specs")

    def head(self) -> tuple[Text, Text]:
        count = len(self._words)
        left = Text("Compare", f"bold {self.palette.accent}")
        left.append(f"  {clean(', '.join(self._words), 300)}", self.palette.dim)
        return left, Text("1 run" if count == 1 else f"{count} runs", self.palette.dim)

    def export_words(self) -> list[str]:
        return self._words

    def on_mount(self) -> None:
        self._choose(0)

    def home_changed(self) -> None:
        states = [(row.id, row.state) for row in self.house.feed.rows.values()]
        if states != self._states:  # a table costs a look at every run
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

    def _tab_line(self, _: int) -> list[Line]:
        line = Text(" ")
        for number, name in enumerate(PAGES):
            chosen = number == self._page
            line.append(f"{number + 1} ", self.palette.dim)
            line.append(
                name, f"bold underline {self.palette.accent}" if chosen else self.palette.dim
            )
            line.append("   ")
        return [line]

    def _table(self, width: int) -> Iterable[Line]:
        mean = self._mean()
        try:
            data = compare(self.house.store, self._words)
        except UserError as error:
            if mean is None:
                yield from wrapped(Text(clean(error, 600), self.palette.warn), width)
        else:
            yield from self._comparison(data, width)
        if mean is not None:
            yield from lines_of(mean_comparison(mean), width)

    def _mean(self) -> dict[str, Any] | None:
        """The table over seeds; None where the runs are not several seeds of one recipe."""
        try:
            data = mean_over_seeds(self.house.store, self._words)
        except UserError:
            return None
        return data if len(data["seeds"]) > 1 else None

    def export_text(self, words: list[str], format_: str) -> str:
        """The comparison; of runs that only a mean can hold, that."""
        try:
            return super().export_text(words, format_)
        except UserError:
            if (mean := self._mean()) is None:
                raise
            return seed_formats.FORMATS[format_](mean)

    def _comparison(self, data: dict[str, Any], width: int) -> Iterable[Line]:
        if self._poster:
            names = {name for row in data["rows"] for name in row["attacks"]}
            data["rows"] += [
                {**row, "attacks": {k: v for k, v in row["attacks"].items() if k in names}}
                for row in POSTER
            ]
        yield from comparison_lines(data, width, self.palette)
        if self._poster:
            yield from wrapped(Text(POSTER_NOTE, self.palette.dim), width)

    def _runs(self) -> list[Run]:
        """The runs that are named, without those that are no more."""
        found = []
        for word in self._words:
            try:
                found.append(self.house.store.find(split_checkpoint(word)[0]))
            except UserError as error:
                if word not in self._missing:  # told once
                    self._missing.add(word)
                    self.house.tell(str(error), "warning")
        return list({run.id: run for run in found}.values())

    def _attacked(self, run: Run) -> list[str]:
        """The ids of the trainings that an attack run attacks."""
        spec = run.raw_spec.get("checkpoints")
        named = [str(one.get("run")) for one in dicts(spec)]
        return [one for one in dict.fromkeys(named) if one in self.house.feed.rows]

    def _show_curves(self) -> None:
        courses = []
        for run in self._runs():
            trained = [run] if run.kind == "train" else []
            if run.kind == "study":
                trained = [c for c in self.house.store.children(run) if c.kind == "train"]
            if run.kind == "attack":
                trained = [self.house.run_of(one) for one in self._attacked(run)]
            for one in trained:
                look = colours(self.house.looks, [one.id])[one.id]
                label = course_label(str(one.name or ""), str(one.mode or ""), one.id)
                courses.append(TrainingCurves(label, look, self.house.courses.snapshot(one)))
        unique = {course.look: course for course in courses}
        self.query_one(CurvesPane).show(list(unique.values()), "none of these runs is a training")

    def _specs(self, width: int) -> Iterable[Line]:
        runs = self._runs()
        if len(runs) < 2:
            yield Text("two runs are needed for a difference: w chooses them", self.palette.dim)
            return
        rows = pages.differences([run.raw_spec for run in runs])
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

    def _choose(self, page: int) -> None:
        self._page = page
        for name in PAGES:
            self.query_one(f"#{name}").set_class(name == PAGES[page], "-shown")
        shown = self.query_one(f"#{PAGES[page]}")
        shown.focus()
        self.query_one("#words", LineView).redraw()
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
                self._words = text.split()
                self.redraw_frame()
                self._choose(self._page)

        self.house.push_screen(
            Write("Runs or checkpoints", " ".join(self._words), "such as @1  3f9a:best_robust"),
            written,
        )
