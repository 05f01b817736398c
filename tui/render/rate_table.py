"""The Rich table of models and attacks: accuracy, success and robust accuracy. Data in, table out.

It does not know whether a rate has an interval or is a mean over seeds: its rates are texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import Head
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
        return text.append(f" {self.interval:>10}", style="dim") if self.interval else text


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


def rate_table(rows: Sequence[ModelRates], heads: Mapping[str, Head]) -> Fitting:
    """Two columns for each attack where they fit; else, or with several ε, a line for each.

    In a narrow terminal the intervals stand below their values. No ε and no figure is cut.
    ``heads`` holds the head of each attack, by its name.
    """
    several = any(len(levels) > 1 for row in rows for levels in row.attacks.values())
    lines = _long(rows, heads), _long(rows, heads, stacked=True)
    return Fitting(*lines) if several else Fitting(_wide(rows, heads), *lines)


def _wide(rows: Sequence[ModelRates], heads: Mapping[str, Head]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row.attacks))
    height = max((len(head.threat) for head in heads.values()), default=0)
    kinds = [
        ("\n".join((*_head_lines(heads[name], height), f"{kind} %")), "right")
        for name in names
        for kind in ("success", "robust")
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


def _head_lines(head: Head, height: int) -> list[str]:
    """The title and the threat model's lines, as many for each attack."""
    threat = [clean(part, 24) for part in head.threat]
    return [clean(head.title, 24), *threat, *[""] * (height - len(threat))]


def _long(rows: Sequence[ModelRates], heads: Mapping[str, Head], *, stacked: bool = False) -> Table:
    """A line for each attack at each ε; ``stacked``: two lines, the intervals in the second."""
    table = plain_table(
        ("model", "left"), ("attack", "left"), ("success %", "right"), ("robust %", "right")
    )
    shown = Rate.above if stacked else Rate.beside
    titles: list[Text] = []
    rates: list[Text] = []
    for row in rows:
        accuracy = shown(row.accuracy)
        rates.append(accuracy)
        table.add_row(Text(clean(row.model, 40)), Text("none", style="dim"), "", accuracy)
        for title, level in _titled_levels(row, heads):
            figures = shown(level.success), shown(level.robust)
            # Rather than lose its end, which is the ε, a title goes on beside the interval.
            titles.append(Text(title.replace(", ", ",\n", 1) if stacked else title))
            table.add_row("", titles[-1], *figures)
            rates += figures
    _, attack, *columns = table.columns
    attack.min_width = _widest(titles)
    for column in columns:
        column.min_width = _widest(rates)
    return table


def _widest(texts: Sequence[Text]) -> int:
    return max((cell_len(line.plain) for text in texts for line in text.split()), default=0)


def _titled_levels(row: ModelRates, heads: Mapping[str, Head]) -> Iterator[tuple[str, Level]]:
    """A line for each level; a dash for an attack that only other models stood under."""
    missing = Level(None, Rate("–"), Rate("–"))
    for name in heads if row.attacks else ():
        levels = row.attacks.get(name) or [missing]
        for level in levels:
            if len(levels) > 1 and level.eps is not None:
                title = f"{clean(heads[name].title, 24)}, ε {format_budget(level.eps)}"
            else:
                title = clean(heads[name].line, 48)
            yield title, level
