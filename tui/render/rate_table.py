"""The Rich table of models and attacks: accuracy, success and robust accuracy. Data in, table out.

It does not know whether a rate has an interval or is a mean over seeds: its rates are texts, and
beside each its share.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import Head
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import Fitting, plain_table, uncut
from tui.render.text import by_words, clean, keeping_row

TITLE = 24
"""Cells of an attack's title in a column's head; a longer one is wrapped by words."""
MODEL = 40
"""Cells of a model's name."""
BAD, FAIR = 0.10, 0.30
"""A robust accuracy below the first is tinted as bad, below the second as a warning."""


class Rate(NamedTuple):
    """A rate in words: its value, and its interval or nothing."""

    value: str
    interval: str = ""
    share: float | None = None
    """The value as a share of 1; None for what is no figure, such as a dash."""


class Level(NamedTuple):
    """An attack at one ε."""

    eps: float | None
    success: Rate
    robust: Rate


_MISSING = Level(None, Rate("–"), Rate("–"))
"""Of an attack that the model did not stand under."""


class ModelRates(NamedTuple):
    """One model: its accuracy, and the levels of each attack."""

    model: str
    accuracy: Rate
    attacks: Mapping[str, Sequence[Level]]
    is_repeated: bool = False
    """Whether a row above is about the same checkpoint."""


def rate_table(
    rows: Sequence[ModelRates],
    heads: Mapping[str, Head],
    palette: Palette = TERMINAL,
    *,
    fills: bool = False,
) -> Fitting:
    """Two columns for each attack where they fit; else, or with several ε, a line for each.

    In a wide terminal the intervals stand beside their values, else below. No ε and no figure is
    cut. The best robust accuracy under each attack is bold.

    Args:
        rows: the models.
        heads: the head of each attack, by its name.
        palette: the styles.
        fills: whether figures are still to come; the columns then have room for them.
    """
    ink = _Ink(rows, palette, fills=fills)
    forms = [_long(rows, heads, ink, "beside"), _long(rows, heads, ink, "below")]
    if not _has_several_levels(rows):
        forms = [_wide(rows, heads, ink, "beside"), _wide(rows, heads, ink, "below"), *forms]
    return Fitting(*forms)


def low_rate_tables(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], palette: Palette = TERMINAL
) -> Iterator[Table]:
    """The forms of :func:`rate_table` for a table that fills in little height, the best one first.

    Each row takes one line, in a narrow terminal without intervals. A column is as wide as it will
    be when all figures are known.
    """
    ink = _Ink(rows, palette, fills=True)
    for form in (_long,) if _has_several_levels(rows) else (_wide, _long):
        for intervals in ("beside", "none"):
            yield form(rows, heads, ink, intervals)


def _has_several_levels(rows: Sequence[ModelRates]) -> bool:
    return any(len(levels) > 1 for row in rows for levels in row.attacks.values())


class _Ink:
    """Rates as texts with their styles; ``intervals`` are beside the values, below them, or none.

    Args:
        rows: all rows, for the best value of each attack and the widths of values and intervals.
        palette: the styles.
        fills: whether figures are still to come; the columns then have room for them.
    """

    def __init__(
        self, rows: Sequence[ModelRates], palette: Palette, *, fills: bool = False
    ) -> None:
        self.palette = palette
        self._best = _best(rows)
        rates = [rate for row in rows for rate in _rates(row)]
        self._value = max((cell_len(r.value) for r in rates if r.share is not None), default=0)
        self._interval = max((cell_len(rate.interval) for rate in rates), default=0)
        if fills:
            self._value = max(self._value, len("100.00"))
            self._interval = max(self._interval, len("99.9–100.0"))
        self._fills = fills

    def least_width(self, intervals: str) -> int:
        """Cells of the narrowest column of figures."""
        if not self._fills:
            return 0
        if intervals == "beside":
            return self._value + 1 + self._interval
        return self._interval

    def model(self, row: ModelRates) -> Text:
        return Text(keeping_row(row.model, MODEL), self._plain(row))

    def rate(self, row: ModelRates, rate: Rate, intervals: str) -> Text:
        return self._text(rate, self._plain(row), intervals)

    def robust(self, row: ModelRates, name: str, level: Level, intervals: str) -> Text:
        """A robust accuracy, tinted by its value and bold where it is the best under the attack."""
        rate = level.robust
        if row.is_repeated or rate.share is None:
            return self.rate(row, rate, intervals)
        style = tint(rate.share, self.palette)
        is_best = rate.share == self._best.get((name, level.eps))
        return self._text(rate, f"bold {style}".rstrip() if is_best else style, intervals)

    def _plain(self, row: ModelRates) -> str:
        return self.palette.dim if row.is_repeated else self.palette.text

    def _text(self, rate: Rate, style: str, intervals: str) -> Text:
        dim = self.palette.dim
        is_figure = rate.share is not None
        value = f"{rate.value:>{self._value}}" if intervals == "beside" else rate.value
        text = Text.assemble((value, style if is_figure else dim))
        if rate.interval and intervals == "beside":
            text.append(f" {rate.interval:>{self._interval}}", dim)
        elif rate.interval and intervals == "below":
            text.append(f"\n{rate.interval}", dim)
        return text


def tint(share: float, palette: Palette) -> str:
    """The style of a robust accuracy, by its value."""
    if share < BAD:
        return palette.bad
    return palette.warn if share < FAIR else palette.good


def _rates(row: ModelRates) -> Iterator[Rate]:
    yield row.accuracy
    for levels in row.attacks.values():
        for level in levels:
            yield from (level.success, level.robust)


def _best(rows: Sequence[ModelRates]) -> dict[tuple[str, float | None], float]:
    """The highest robust accuracy under each attack at each ε above 0.

    None where it is 0, or where a single checkpoint stood under the attack: no model is then
    better than another.
    """
    shares: dict[tuple[str, float | None], list[float]] = {}
    for row in rows:
        for name, levels in row.attacks.items():
            for level in levels:
                share = level.robust.share
                if share is not None and level.eps != 0 and not row.is_repeated:
                    shares.setdefault((name, level.eps), []).append(share)
    return {key: max(found) for key, found in shares.items() if len(found) > 1 and max(found) > 0}


def _wide(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], ink: _Ink, intervals: str
) -> Table:
    """A line for each model, two columns for each attack."""
    names = list(dict.fromkeys(name for row in rows for name in row.attacks))
    justify = _justify(intervals)
    kinds = [
        ("\n".join((*_head_lines(heads[name]), f"{kind} %")), justify)
        for name in names
        for kind in ("success", "robust")
    ]
    table = plain_table(
        ("model", "left"),
        ("accuracy %", justify),
        *kinds,
        palette=ink.palette,
        gap=3 if intervals == "beside" else 2,
    )
    for row in rows:
        texts = [ink.rate(row, row.accuracy, intervals)]
        for name in names:
            level = (row.attacks.get(name) or [_MISSING])[0]
            texts.append(ink.rate(row, level.success, intervals))
            texts.append(ink.robust(row, name, level, intervals))
        table.add_row(ink.model(row), *texts)
    return _sized(table, ink, intervals, figures_from=1)


def _justify(intervals: str) -> str:
    """How the columns of figures are justified, so that a head stands above the values."""
    return "left" if intervals == "beside" else "right"


def _sized(table: Table, ink: _Ink, intervals: str, *, figures_from: int) -> Table:
    """The table with whole cells; beside rates of two lines a model's name may take two."""
    uncut(table, wrapping=1 if intervals == "below" else 0)
    for column in table.columns[figures_from:]:
        column.min_width = max(column.min_width or 0, ink.least_width(intervals))
    return table


def _head_lines(head: Head) -> list[str]:
    """The title and the threat model's lines."""
    return [*textwrap.wrap(clean(head.title), TITLE), *(clean(part, TITLE) for part in head.threat)]


def _long(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], ink: _Ink, intervals: str
) -> Table:
    """A line for each attack at each ε; with intervals below their values two lines."""
    table = plain_table(
        ("model", "left"),
        ("attack", "left"),
        ("success %", _justify(intervals)),
        ("robust %", _justify(intervals)),
        palette=ink.palette,
    )
    for row in rows:
        accuracy = ink.rate(row, row.accuracy, intervals)
        table.add_row(ink.model(row), Text("none", ink.palette.dim), "", accuracy)
        for name, title, level in _titled_levels(row, heads):
            # Rather than lose its end, which is the ε, a title goes on beside the interval.
            lines = title.replace(", ", ",\n", 1) if intervals == "below" else title
            table.add_row(
                "",
                Text(lines, ink.palette.dim if row.is_repeated else ink.palette.text),
                ink.rate(row, level.success, intervals),
                ink.robust(row, name, level, intervals),
            )
    return _sized(table, ink, intervals, figures_from=2)


def _titled_levels(row: ModelRates, heads: Mapping[str, Head]) -> Iterator[tuple[str, str, Level]]:
    """Attack, title and level of each line; a dash for an attack that only others stood under."""
    for name in heads if row.attacks else ():
        levels = row.attacks.get(name) or [_MISSING]
        short = heads[name]._replace(title=by_words(heads[name].title, TITLE))
        for level in levels:
            is_one_of_several = len(levels) > 1 and level.eps is not None
            at = f"{short.title}, ε {format_budget(level.eps or 0.0)}"
            yield name, at if is_one_of_several else clean(short.line), level
