"""The Rich table of models and attacks: accuracy, success and robust accuracy. Data in, table out.

It does not know whether a rate has an interval or is a mean over seeds: its rates are texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import column_title
from tui.render.plain_table import Fitting, plain_table
from tui.render.text import clean


class Rate(NamedTuple):
    """A rate in words: its value, and its interval or nothing."""

    value: str
    interval: str = ""

    def above(self) -> Text:
        """The value above its interval."""
        text = Text(self.value)
        return text.append(f"\n{self.interval}", style="dim") if self.interval else text

    def beside(self) -> Text:
        """The value beside its interval."""
        text = Text(self.value)
        return text.append(f"  {self.interval:>10}", style="dim") if self.interval else text


class Level(NamedTuple):
    """An attack at one ε."""

    eps: float | None
    success: Rate
    robust: Rate


class ModelRates(NamedTuple):
    """One model: its accuracy, and the levels of each attack."""

    model: str
    accuracy: Rate
    attacks: Mapping[str, Sequence[Level]]


def rate_table(rows: Sequence[ModelRates]) -> Table | Fitting:
    """Two columns for each attack where they fit; else, or with several ε, a line for each."""
    several = any(len(levels) > 1 for row in rows for levels in row.attacks.values())
    return _long(rows) if several else Fitting(_wide(rows), _long(rows))


def _wide(rows: Sequence[ModelRates]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row.attacks))
    kinds = [
        (f"{_title(name)}\n{kind} %", "right") for name in names for kind in ("success", "robust")
    ]
    table = plain_table(("model", "left"), ("accuracy\n%", "right"), *kinds)
    for row in rows:
        table.add_row(
            Text(clean(row.model, 40)),
            row.accuracy.above(),
            *(text for name in names for text in _pair(row.attacks.get(name, ()))),
        )
    return table


def _pair(levels: Sequence[Level]) -> tuple[Text, Text]:
    if not levels:
        return Text("–"), Text("–")
    return levels[0].success.above(), levels[0].robust.above()


def _long(rows: Sequence[ModelRates]) -> Table:
    table = plain_table(
        ("model", "left"), ("attack", "left"), ("success %", "right"), ("robust %", "right")
    )
    for row in rows:
        table.add_row(
            Text(clean(row.model, 40)), Text("none", style="dim"), "", row.accuracy.beside()
        )
        for title, level in _titled_levels(row):
            table.add_row("", Text(title), level.success.beside(), level.robust.beside())
    return table


def _titled_levels(row: ModelRates) -> Iterator[tuple[str, Level]]:
    for name, levels in row.attacks.items():
        for level in levels:
            title = _title(name)
            if len(levels) > 1 and level.eps is not None:
                title += f", ε {format_budget(level.eps)}"
            yield title, level


def _title(attack: str) -> str:
    return clean(column_title(attack), 24)
