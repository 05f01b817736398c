"""The Rich table of models and attacks: accuracy, success and robust accuracy. Data in, table out.

It does not know whether a rate has an interval or is a mean over seeds: its rates are texts, and
beside each its share.
"""

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from runs.budgets import format_budget
from runs.formats import Head
from tui.render.palette import TERMINAL, Palette, tint
from tui.render.plain_table import Fitting, add_column, plain_table, uncut
from tui.render.text import by_words, clean, keeping_row

TITLE = 24
"""Cells of an attack's title in a column's head; a longer one is wrapped by words."""
MODEL = 40
"""Cells of a model's name."""
_GAPS = {"apart": " " * 4, "beside": " " * 2}
"""Intervals beside the values: what stands between an interval and the next value."""


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
    is_dim: bool = False
    """Whether it stands back: its checkpoint is that of a row above, or its figures are foreign."""
    begins_section: bool = False
    """Whether an empty line stands above it."""
    corrupted: Rate | None = None
    """Accuracy on corrupted images; None where it was not evaluated."""


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
    shapes = (_long,) if has_several_levels(rows) else (_wide, _long)
    forms = [shape(rows, heads, ink, at) for shape in shapes for at in (*_GAPS, "below")]
    for form in forms if ink.has_intervals else ():
        form.caption = Text("ranges: 95 % intervals", palette.dim)
        form.caption_justify = "left"
    return Fitting(*forms)


def low_rate_tables(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], palette: Palette = TERMINAL
) -> Iterator[Table]:
    """The forms of :func:`rate_table` for a table that fills in little height, the best one first.

    Each row takes one line, in a narrow terminal without intervals. A column is as wide as it will
    be when all figures are known.
    """
    ink = _Ink(rows, palette, fills=True)
    for form in (_long,) if has_several_levels(rows) else (_wide, _long):
        for intervals in ("beside", "none"):
            yield form(rows, heads, ink, intervals)


def has_several_levels(rows: Sequence[ModelRates]) -> bool:
    """Whether a model stood under an attack at several ε."""
    return any(len(levels) > 1 for row in rows for levels in row.attacks.values())


class _Figure(NamedTuple):
    """A rate as styled texts."""

    value: Text
    interval: Text


_NOTHING = _Figure(Text(), Text())


class _Ink:
    """Rates as texts with their styles.

    Args:
        rows: all rows, for the best value of each attack.
        palette: the styles.
        fills: whether figures are still to come; the columns then have room for them.
    """

    def __init__(
        self, rows: Sequence[ModelRates], palette: Palette, *, fills: bool = False
    ) -> None:
        self.palette = palette
        self.has_intervals = any(rate.interval for row in rows for rate in _rates(row))
        self._best = best_robust(rows)
        self._least = (len("100.00"), len("99.9–100.0")) if fills else (0, 0)

    def model(self, row: ModelRates) -> Text:
        return Text(keeping_row(row.model, MODEL), self.plain(row))

    def plain(self, row: ModelRates) -> str:
        """The style of what has no style of its own."""
        return self.palette.dim if row.is_dim else self.palette.text

    def rate(self, row: ModelRates, rate: Rate) -> _Figure:
        return self._figure(rate, self.plain(row))

    def robust(self, row: ModelRates, name: str, level: Level) -> _Figure:
        """A robust accuracy, tinted by its value and bold where it is the best under the attack."""
        style = robust_style(row, name, level, self._best, self.palette)
        return self._figure(level.robust, style)

    def _figure(self, rate: Rate, style: str) -> _Figure:
        is_figure = rate.share is not None
        return _Figure(
            Text(rate.value, style if is_figure else self.palette.dim),
            Text(rate.interval, self.palette.dim),
        )

    def stacked(self, figures: Sequence[_Figure], *, with_intervals: bool) -> list[Text]:
        """The cells of a column: values, each with its interval in the line below, or without."""
        width = self._least[1]  # whichever line is the longer one
        texts = []
        for value, interval in figures:
            lines = [value, interval] if with_intervals and interval else [value]
            texts.append(Text("\n").join(_ending(line, width) for line in lines))
        return texts

    def beside(self, columns: Sequence[Sequence[_Figure]], gap: str) -> list[list[Text]]:
        """The cells of columns that are to end with the end of their values.

        Each begins with the intervals of the column before, so that a head above the values may be
        wider than they are. The last one has intervals alone.
        """
        least_value, least_interval = self._least
        found = []
        before = [Text() for _ in columns[0]]
        for figures in columns:
            # What is no figure, such as the progress of an attack, may begin further left.
            known = [value.cell_len for value, interval in figures if interval]
            width = max(least_value, *known, 0)
            values = [_ending(figure.value, width) for figure in figures]
            found.append([old + value for old, value in zip(before, values, strict=True)])
            width = max(least_interval, *(figure.interval.cell_len for figure in figures))
            before = [
                interval + " " * (width - interval.cell_len) + gap if interval else Text()
                for _, interval in figures
            ]
        return [*found, [text[: -len(gap)] if text else text for text in before]]


def _ending(text: Text, width: int) -> Text:
    """The text at the end of so many cells."""
    return Text(" " * (width - text.cell_len)) + text


def robust_style(
    row: ModelRates,
    name: str,
    level: Level,
    best: Mapping[tuple[str, float | None], float],
    palette: Palette,
) -> str:
    """The style of a robust accuracy under the attack ``name``; ``best``: of :func:`best_robust`.

    It is tinted by its value, and bold where it is the best.
    """
    share = level.robust.share
    if row.is_dim or share is None:
        return palette.dim
    style = tint(share, palette)
    return f"bold {style}".rstrip() if share == best.get((name, level.eps)) else style


def _rates(row: ModelRates) -> Iterator[Rate]:
    yield row.accuracy
    for levels in row.attacks.values():
        for level in levels:
            yield from (level.success, level.robust)


def best_robust(rows: Sequence[ModelRates]) -> dict[tuple[str, float | None], float]:
    """The highest robust accuracy under each attack at each ε above 0.

    None where it is 0, or where a single checkpoint stood under the attack: no model is then
    better than another.
    """
    shares: dict[tuple[str, float | None], list[float]] = {}
    for row in rows:
        for name, levels in row.attacks.items():
            for level in levels:
                share = level.robust.share
                if share is not None and level.eps != 0 and not row.is_dim:
                    shares.setdefault((name, level.eps), []).append(share)
    return {key: max(found) for key, found in shares.items() if len(found) > 1 and max(found) > 0}


def _wide(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], ink: _Ink, intervals: str
) -> Table:
    """A line for each model, two columns for each attack."""
    columns = [("accuracy %", [ink.rate(row, row.accuracy) for row in rows])]
    if any(row.corrupted for row in rows):
        corrupted = [ink.rate(row, row.corrupted or Rate("–")) for row in rows]
        columns.append(("corrupted %", corrupted))
    for name in dict.fromkeys(name for row in rows for name in row.attacks):
        head = "\n".join(_head_lines(heads[name]))
        levels = [(row, (row.attacks.get(name) or [_MISSING])[0]) for row in rows]
        success = [ink.rate(row, level.success) for row, level in levels]
        robust = [ink.robust(row, name, level) for row, level in levels]
        columns += [(f"{head}\nsuccess %", success), (f"{head}\nrobust %", robust)]
    sections = [n for n, row in enumerate(rows) if row.begins_section]
    return _table([("model", [ink.model(row) for row in rows])], columns, ink, intervals, sections)


def _table(
    words: Sequence[tuple[str, Sequence[Text]]],
    figures: Sequence[tuple[str, Sequence[_Figure]]],
    ink: _Ink,
    intervals: str,
    sections: Collection[int],
) -> Table:
    """The columns of words, each with its head, then those of figures.

    ``intervals``: one of :data:`_GAPS`, ``below`` the values, or ``none``. ``sections``: the rows
    with an empty line above them, counted from 0.

    No cell is cut; beside figures of two lines a model's name may take two.
    """
    heads = [Text(head) for head, _ in figures]
    cells = [column for _, column in figures]
    if intervals in _GAPS and ink.has_intervals and words[0][1]:
        heads.append(Text())
        columns = ink.beside(cells, _GAPS[intervals])
    else:
        columns = [ink.stacked(column, with_intervals=intervals != "none") for column in cells]
    table = plain_table(*((head, "left") for head, _ in words), palette=ink.palette)
    for head_text in heads:
        add_column(table, head_text, "right")
    for n, texts in enumerate(zip(*(column for _, column in words), *columns, strict=True)):
        if n in sections:
            table.add_section()
        table.add_row(*texts)
    return uncut(table, wrapping=1 if intervals == "below" else 0)


def _head_lines(head: Head) -> list[str]:
    """The title and the threat model's lines."""
    return [*textwrap.wrap(clean(head.title), TITLE), *(clean(part, TITLE) for part in head.threat)]


def _long(
    rows: Sequence[ModelRates], heads: Mapping[str, Head], ink: _Ink, intervals: str
) -> Table:
    """A line for each attack at each ε; with intervals below their values two lines."""
    lines: list[tuple[Text, Text, _Figure, _Figure]] = []
    sections = []
    for row in rows:
        if row.begins_section:
            sections.append(len(lines))
        accuracy = ink.rate(row, row.accuracy)
        lines.append((ink.model(row), Text("clean", ink.palette.dim), _NOTHING, accuracy))
        if row.corrupted is not None:
            figure = ink.rate(row, row.corrupted)
            lines.append((Text(), Text("corrupted", ink.palette.dim), _NOTHING, figure))
        for name, title, level in _titled_levels(row, heads):
            # Rather than lose its end, which is the ε, a title goes on beside the interval.
            told = title.replace(", ", ",\n", 1) if intervals == "below" else title
            success, robust = ink.rate(row, level.success), ink.robust(row, name, level)
            lines.append((Text(), Text(told, ink.plain(row)), success, robust))
    models, attacks, successes, robusts = zip(*lines, strict=True) if lines else ((),) * 4
    return _table(
        [("model", models), ("attack", attacks)],
        [("success %", successes), ("accuracy %", robusts)],
        ink,
        intervals,
        sections,
    )


def _titled_levels(row: ModelRates, heads: Mapping[str, Head]) -> Iterator[tuple[str, str, Level]]:
    """Attack, title and level of each line; a dash for an attack that only others stood under."""
    for name in heads if row.attacks else ():
        levels = row.attacks.get(name) or [_MISSING]
        short = heads[name]._replace(title=by_words(heads[name].title, TITLE))
        for level in levels:
            is_one_of_several = len(levels) > 1 and level.eps is not None
            at = f"{short.title}, ε {format_budget(level.eps or 0.0)}"
            yield name, at if is_one_of_several else clean(short.line), level
