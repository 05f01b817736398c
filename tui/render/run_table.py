"""The list of runs as ``advtui runs`` prints it. It imports Rich only for a terminal: a pipe of
thousands of lines has no styles.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from tui.render.palette import TERMINAL, Palette, tint
from tui.render.queue_text import queued_words
from tui.render.text import ago, cells, clean, duration, percent

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Parts = list[tuple[str, str]]
"""Texts of a cell, each with its style."""
GAP = "  "
"""Between two columns."""


class _Cell(NamedTuple):
    width: int
    parts: Parts


class _Form(NamedTuple):
    """A width of the list of runs: its columns, and the most cells of a name and of a place."""

    columns: Sequence[str]
    name: int
    place: int


_COLUMNS = {
    "id": "left",
    "state": "left",
    "name": "left",
    "data": "left",
    "epoch": "right",
    "clean %": "right",
    "robust %": "right",
    "took": "right",
    "age": "right",
}
"""The columns of the list of runs, and how each is justified."""
_NARROW = ("id", "state", "clean %", "robust %")
_USUAL = tuple(title for title in _COLUMNS if title != "took")
_FORMS = (
    _Form(tuple(_COLUMNS), 60, 60),
    _Form(tuple(_COLUMNS), 24, 24),
    _Form(_USUAL, 24, 24),
    _Form((*_NARROW, "name", "epoch", "age"), 12, 8),
    _Form((*_NARROW, "epoch", "age"), 0, 8),
    _Form((*_NARROW, "age"), 0, 0),
    _Form(_NARROW, 0, 0),
    _Form(("id", "state", "robust %"), 0, 0),
    _Form(("id", "state"), 0, 0),
)
"""From a wide terminal to a narrow one."""
_PIPE = _FORMS[2]


class RunList:
    """The runs of a home as ``advtui runs`` lists them; children are indented under their study.

    A narrow terminal lacks columns, a wide one has more room for names. No id is cut or wrapped.

    Args:
        rows: of :func:`tui.run_list.summary.summary`.
        palette: the styles.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], palette: Palette = TERMINAL) -> None:
        self._rows, self._palette = rows, palette

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment
        from rich.style import Style

        if not console.is_terminal:
            for line in self.plain_lines():
                yield Segment(f"{line}\n")
            return
        styles: dict[str, Style] = {}
        for parts in self._fitting(options.max_width):
            for text, style in parts:
                if style not in styles:
                    styles[style] = Style.parse(style)
                yield Segment(text, styles[style])
            yield Segment.line()

    def plain_lines(self) -> Iterator[str]:
        """The lines for a pipe: always the same columns, and no styles."""
        table = self._table(_PIPE)
        columns = [
            _plain(column, _COLUMNS[title])
            for title, column in zip(_titles(_PIPE), table, strict=True)
        ]
        for number, row in enumerate(zip(*columns, strict=True)):
            yield GAP.join(row).rstrip()
            if number == 0:
                yield "─" * _width(table)

    def _fitting(self, width: int) -> Iterator[Parts]:
        """The lines of the first form that fits the width, else those of the last, cut."""
        for form in _FORMS:
            table = self._table(form)
            if form is _FORMS[-1] or _width(table) <= width:
                break
        for line in self._laid_out(form, table):
            yield list(_cut(line, width))

    def _table(self, form: _Form) -> list[list[_Cell]]:
        """The columns of a form, each with its head."""
        return [
            [_cell([(title, self._palette.title)]), *self._column(title, form)]
            for title in _titles(form)
        ]

    def _laid_out(self, form: _Form, table: Sequence[Sequence[_Cell]]) -> Iterator[Parts]:
        """Head, rule and rows, each cell padded to the width of its column."""
        columns = [
            _justified(column, _COLUMNS[title])
            for title, column in zip(_titles(form), table, strict=True)
        ]
        for number, row in enumerate(zip(*columns, strict=True)):
            yield list(chain.from_iterable(row))
            if number == 0:
                yield [("─" * _width(table), self._palette.faint)]

    def _column(self, title: str, form: _Form) -> Iterator[_Cell]:
        palette, rows = self._palette, self._rows
        match title:
            case "id":
                for row in rows:
                    child = row["parent"]
                    yield _cell([(f"  {row['id']}", palette.dim) if child else (row["id"], "")])
            case "state":
                for row in rows:
                    yield _cell(self._state(row, form))
            case "name":
                for row in rows:
                    name = " ".join([row["name"] or "", *(f"#{tag}" for tag in row["tags"])])
                    yield _cell([(clean(name.strip(), form.name), palette.accent)])
            case "data":
                for row in rows:
                    yield _cell([(_data_name(row["data"] or ""), palette.dim)])
            case "epoch":
                for row in rows:
                    epoch = row["metrics"].get("epoch")
                    text = "" if epoch is None else f"{epoch + 1}/{row['epochs']}"
                    yield _cell([(text, palette.text)])
            case "clean %" | "robust %":
                for row in rows:
                    yield _cell([self._figure(row["figures"], title[:-2])])
            case "took":
                for row in rows:
                    worked = row["working_seconds"]
                    yield _cell([(duration(worked) if worked else "", palette.dim)])
            case "age":
                for row in rows:
                    yield _cell([(ago(row["created"]), palette.dim)])

    def _state(self, row: Mapping[str, Any], form: _Form) -> Parts:
        place = clean(row["place"], form.place) if form.place else ""
        glyph, style = self._palette.state(row["state"])
        parts = [(f"{glyph} {queued_words(place) if place else row['state']}", style)]
        return [*parts, (" !", self._palette.warn)] if row["warnings"] else parts

    def _figure(self, figures: Mapping[str, Any], key: str) -> tuple[str, str]:
        """A share in percent; v marks one of the validation split, @ an ε that is not usual."""
        palette, share = self._palette, figures[key]
        if share is None:
            return "", ""
        at = f" @{figures['at']}" if figures["at"] and key == "robust" else ""
        if figures["split"] == "validation":
            return f"{percent(share)}v{at}", palette.dim
        style = tint(share, palette) if key == "robust" else palette.text
        return f"{percent(share)} {at}", style


@cache
def _data_name(data: str) -> str:
    """A folder of pictures by its own name."""
    return clean(PurePath(data).name, 12)


def _titles(form: _Form) -> list[str]:
    return [title for title in _COLUMNS if title in form.columns]


def _cell(parts: Parts) -> _Cell:
    if len(parts) == 1:
        return _Cell(cells(parts[0][0]), parts)
    return _Cell(sum([cells(text) for text, _ in parts]), parts)


def _plain(column: Sequence[_Cell], how: str) -> Iterator[str]:
    """The texts of a column, filled up to the width of the widest."""
    width = max([cell.width for cell in column])
    for own, parts in column:
        text = parts[0][0] if len(parts) == 1 else "".join([text for text, _ in parts])
        room = " " * (width - own)
        yield room + text if how == "right" else text + room


def _width(table: Sequence[Sequence[_Cell]]) -> int:
    """Of the whole table, with the gaps between its columns."""
    widths = [max(cell.width for cell in column) for column in table]
    return sum(widths) + len(GAP) * (len(table) - 1)


def _justified(column: Sequence[_Cell], how: str) -> Iterator[Parts]:
    """The cells of a column, filled up to the width of the widest, with a gap behind."""
    width = max(cell.width for cell in column)
    for own, parts in column:
        room = " " * (width - own)
        yield [(room, ""), *parts, (GAP, "")] if how == "right" else [*parts, (room + GAP, "")]


def _cut(line: Parts, width: int) -> Iterator[tuple[str, str]]:
    """The beginning of a line that fits the width."""
    for text, style in line:
        while cells(text) > width:
            text = text[:-1]
        width -= cells(text)
        yield text, style
