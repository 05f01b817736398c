"""The head of a chart: its title, and a legend that names every line with its value.

Pure: takes series, returns parts of text with their styles. Knows no axis and no widget.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from tui.charts.training_curves import SHAPES, Series
from tui.render.palette import Palette

HIDDEN = "–"
"""Stands in place of the marker of a line that is hidden."""


class Part(NamedTuple):
    """A text with its style, and the keys of the series that it stands for in a legend."""

    text: str
    style: str = ""
    keys: tuple[str, ...] = ()


Parts = list[Part]
"""Parts that stand beside each other."""

INDENT = "  "
"""The legend's lines begin under the title, which follows a pointer."""
LEAST_LABEL = 8
"""Cells of a label that is cut."""


@dataclass(frozen=True)
class Legend:
    """The series of a chart, and where their values are read."""

    series: Sequence[Series]
    palette: Palette
    cursor: float | None = None
    """x of the values; None: the last of each series."""
    in_percent: bool = False
    hidden: frozenset[str] = frozenset()
    """Keys of the series that are not drawn."""

    def _value(self, line: Series) -> str:
        end = line.curve.xs[-1] if line.curve.xs else 0.0
        at = line.curve.nearest(end if self.cursor is None else self.cursor)
        if at is None:
            return "–"
        value = line.curve.ys[at]
        if not self.in_percent:
            return f"{value:#.4g}"
        return f"{value:.1f}" if self.cursor is None else f"{value:.2f}"

    def _entry(self, line: Series, label: str) -> Parts:
        """Marker, label and value; those of a hidden line are dim."""
        dim, keys = self.palette.dim, (line.key,)
        marker = Part(line.marker, self.palette.series_style(line.colour), keys)
        value = Part(f" {self._value(line)}", self.palette.text, keys)
        if line.key in self.hidden:
            marker, value = Part(HIDDEN, dim, keys), value._replace(style=dim)
        return [marker, Part(f" {label}" if label else "", dim, keys), value]

    def _word(self, text: str, lines: Iterable[Series]) -> Part:
        """A word that stands for several series: a run, or what the values are."""
        return Part(text, self.palette.dim, tuple(line.key for line in lines))

    def _of_group(self, group: str) -> list[Series]:
        return [line for line in self.series if line.group == group]

    @property
    def _runs(self) -> list[str]:
        return list(dict.fromkeys(line.run for line in self.series))

    @property
    def _groups(self) -> list[str]:
        """What the values are; those of the training itself come last."""
        half = SHAPES["half"]
        ordered = sorted(self.series, key=lambda line: line.marker in half)
        return list(dict.fromkeys(line.group for line in ordered))

    def beside_title(self) -> list[Parts]:
        """Legends that fit beside a title, widest first; none for several runs and groups."""
        if len(self._groups) > 1:
            return []
        wide: Parts = []
        if any(self._groups):
            wide = [Part("  "), self._word(self._groups[0], self.series)]
        close = list(wide)
        for line in self.series:
            label = line.run or line.label
            wide += [Part("  "), *self._entry(line, label)]
            close += [Part(" "), *self._entry(line, label.removeprefix("val "))]
        return [wide, close]

    def beneath(self, width: int, most: int) -> list[Parts]:
        """Lines of at most ``width`` cells: a table for several runs, else one after the other.

        There are at most ``most`` lines where shorter labels can achieve it.
        """
        if not any(self._runs):
            return self._flowing(width)
        table = self._by_group()
        if len(table) <= most and max(map(length, table)) <= width:
            return table
        return self._by_run(width, most)

    def _flowing(self, width: int) -> list[Parts]:
        lines: list[Parts] = []
        for line in self.series:
            entry = [Part(INDENT), *self._entry(line, line.label)]
            if lines and length(lines[-1]) + length(entry) <= width:
                lines[-1] += entry
            else:
                lines.append(entry)
        return lines

    def _by_group(self) -> list[Parts]:
        """A line for each group and a column for each run, which is named in its first line."""
        words = max(map(cell_len, self._groups))
        lines: list[Parts] = [
            [Part(INDENT), self._word(f"{group:<{words}}", self._of_group(group))]
            for group in self._groups
        ]
        for run in self._runs:
            across = max(map(length, lines))
            is_named = False
            for parts, group in zip(lines, self._groups, strict=True):
                parts.append(Part(" " * (across - length(parts))))
                for line in self.series:  # several where two runs have one label
                    if (line.run, line.group) == (run, group):
                        parts += [Part("  "), *self._entry(line, "" if is_named else run)]
                        is_named = True
        return lines

    def _by_run(self, width: int, most: int) -> list[Parts]:
        """A cell for each run with all its values, and a key to the fillings above them."""
        cells = [[x for x in self.series if x.run == run] for run in self._runs]
        figures = max(length(self._figures(cell)) for cell in cells)
        longest = max(map(cell_len, self._runs))

        def room(across: int) -> int:
            return min(width // across - len(INDENT) - figures, longest)

        across = 1
        while across < len(cells):
            is_low = -(-len(cells) // across) <= most - 1
            if room(across + 1) < (longest if is_low else min(LEAST_LABEL, longest)):
                break
            across += 1
        lines = [self._key()] if any(self._groups) else []
        for begin in range(0, len(cells), across):
            parts: Parts = []
            for cell in cells[begin : begin + across]:
                name = cut(cell[0].run, max(room(across), 1))
                figure = self._figures(cell)
                gap = Part(" " * (figures - length(figure)))
                parts += [Part(INDENT), self._word(name, cell), *figure, gap]
            lines.append(parts)
        return lines

    def _key(self) -> Parts:
        """``● clean ○ robust``."""
        parts: Parts = [Part(" ")]
        for group in self._groups:
            own = self._of_group(group)
            marker = own[0].marker
            filling = next((s[0] for s in SHAPES.values() if marker in s), marker)
            parts += [Part(" "), self._word(f"{filling} {group}", own)]
        return parts

    def _figures(self, cell: Sequence[Series]) -> Parts:
        ordered = sorted(cell, key=lambda line: self._groups.index(line.group))
        return [part for line in ordered for part in [Part(" "), *self._entry(line, "")]]


def cut(text: str, width: int) -> str:
    """The text in exactly ``width`` cells, with an ellipsis where it is longer."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def length(parts: Parts) -> int:
    """Cells of the parts."""
    return sum(cell_len(part.text) for part in parts)


def keys_at(parts: Parts, column: int) -> tuple[str, ...]:
    """The keys of the series for which a part stands that covers a column; none elsewhere."""
    end = 0
    for part in parts:
        end += cell_len(part.text)
        if column < end:
            return part.keys
    return ()


def next_alone(keys: Sequence[str], hidden: Collection[str]) -> frozenset[str]:
    """The series to hide next: all but the first, all but the second, …, and then none."""
    shown = [key for key in keys if key not in hidden]
    following = 0 if len(shown) == len(keys) else len(keys)
    if len(shown) == 1:
        following = keys.index(shown[0]) + 1
    return frozenset(keys) - {keys[following]} if following < len(keys) else frozenset()


def segments_of(parts: Parts, width: int) -> list[Segment]:
    """The parts in at most ``width`` cells, with an ellipsis where they are longer."""
    segments, left = [], width
    for text, style, _ in parts:
        if cell_len(text) > left:
            text = text[: max(left - 1, 0)] + ("…" if left else "")
        segments.append(Segment(text, Style.parse(style)))
        left -= cell_len(text)
        if left <= 0:
            break
    return segments
