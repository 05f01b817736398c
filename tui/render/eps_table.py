"""Robust accuracy over ε as a Rich table: a row for each model and attack, a column for each ε.

The overview of a table with several ε; success rates and intervals stand in
:mod:`tui.render.rate_table`. Data in, renderable out.
"""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import Head
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import add_column, plain_table, uncut
from tui.render.rate_table import Level, ModelRates, best_robust, robust_style
from tui.render.text import by_words, keeping_row

_OF_255 = "/255"
_NAMES = ((40, 40), (14, 14))
"""Cells of a model's and of an attack's name: at most, and where the width is short."""


class EpsTable:
    """Clean accuracy, and robust accuracy at each ε in percent with one decimal.

    It has the attacks at several ε and the models under them; all others have no curve. The values
    are tinted and bold as in the table of rates. Where the ε do not fit beside each other, several
    tables follow each other.
    """

    def __init__(
        self, rows: Sequence[ModelRates], heads: Mapping[str, Head], palette: Palette = TERMINAL
    ) -> None:
        self._palette = palette
        self._best = best_robust(rows)
        curves = {name for row in rows for name in row.attacks if len(row.attacks[name]) > 1}
        self._titles = _shortest({name: heads[name] for name in heads if name in curves})
        self._rows = [row for row in rows if curves & row.attacks.keys()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        budgets = {
            level.eps
            for row in self._rows
            for name in self._titles
            for level in row.attacks.get(name, ())
        }
        known = sorted(eps for eps in budgets if eps is not None)
        yield from self._fitting(known, console, options)

    def _fitting(
        self, budgets: Sequence[float], console: Console, options: ConsoleOptions
    ) -> Iterator[Table]:
        """The roomiest table that fits; else the halves of the ε in tables of their own."""
        unlimited = options.update(max_width=10_000)
        forms = [self._table(budgets, *cells) for cells in _NAMES]
        for form in forms:
            if Measurement.get(console, unlimited, form).minimum <= options.max_width:
                yield form
                return
        if len(budgets) < 2:
            yield forms[-1]
            return
        half = (len(budgets) + 1) // 2
        yield from self._fitting(budgets[:half], console, options)
        yield from self._fitting(budgets[half:], console, options)

    def _table(self, budgets: Sequence[float], model: int, attack: int) -> Table:
        """The table at these ε; ``model``, ``attack``: most cells of a name."""
        palette = self._palette
        unit, titles = _titles(budgets)
        table = plain_table(palette=palette)
        for title in ("model", "attack"):
            add_column(table, Text(title), "left")
        for title in ("clean", *titles):
            add_column(table, Text(title), "right")
        table.title = Text(f"robust accuracy % at each {unit}", palette.dim)
        table.title_justify = "left"
        for row in self._rows:
            plain = palette.dim if row.is_dim else palette.text
            name, accuracy = keeping_row(row.model, model), _percent(row.accuracy.share)
            first = [Text(name, plain), Text(accuracy or row.accuracy.value, plain)]
            for title, cells in self._attacks(row, budgets):
                line = Text(by_words(title, attack), plain)
                table.add_row(first[0], line, first[1], *cells)
                first = [Text(), Text()]
        return uncut(table)

    def _attacks(
        self, row: ModelRates, budgets: Sequence[float]
    ) -> Iterator[tuple[str, list[Text]]]:
        """Title and cells of each attack at several ε; a dash where it was not evaluated."""
        dash = Text("–", self._palette.dim)
        for name, title in self._titles.items():
            if name in row.attacks:
                levels = {level.eps: level for level in row.attacks[name]}
                at = [levels.get(eps) for eps in budgets]
                yield title, [self._cell(row, name, one) if one else dash for one in at]

    def _cell(self, row: ModelRates, name: str, level: Level) -> Text:
        value = _percent(level.robust.share) or level.success.value  # what is to come, in short
        return Text(value, robust_style(row, name, level, self._best, self._palette))


def _shortest(heads: Mapping[str, Head]) -> dict[str, str]:
    """The title of each attack, with its threat model where the titles alone are not unique."""
    titles = [head.title for head in heads.values()]
    return {
        name: head.title if titles.count(head.title) == 1 else head.line
        for name, head in heads.items()
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _titles(budgets: Sequence[float]) -> tuple[str, list[str]]:
    """What the heads of the ε are of, and the heads: 255ths as ``0``, ``4``, else as written."""
    texts = [format_budget(eps) for eps in budgets]
    in_255ths = any(text.endswith(_OF_255) for text in texts)
    if in_255ths and all(text.endswith(_OF_255) or text == "0" for text in texts):
        return "ε/255", [text.removesuffix(_OF_255) for text in texts]
    return "ε", texts
