"""Rich tables of runs and of a training's checkpoints. Data in, renderables out."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from runs.formats import percent
from runs.result_types import KeptCheckpoint
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import Fitting, plain_table, uncut
from tui.render.rate_table import tint
from tui.render.text import ago, clean, duration
from tui.render.text import percent as short_percent


def kept_checkpoints(
    checkpoints: Mapping[str, KeptCheckpoint], palette: Palette = TERMINAL
) -> RenderableType:
    """The checkpoints of a training. Figures are of the validation split, not of the test split."""
    table = plain_table(
        ("checkpoint", "left"),
        ("epoch", "right"),
        ("monitored", "left"),
        ("validation %", "right"),
        palette=palette,
    )
    for name, checkpoint in checkpoints.items():
        value = checkpoint.get("value")
        table.add_row(
            clean(name),
            str(checkpoint["epoch"] + 1),
            clean(checkpoint.get("monitor") or ""),
            "" if value is None else percent(value),
        )
    return table


def state_text(
    state: str, more: str = "", palette: Palette = TERMINAL, *, warned: bool = False
) -> Text:
    """The state with its glyph and ``more`` about it; ``!``: there are warnings.

    Colour is never the only sign.
    """
    glyph, style = palette.state(state)
    text = Text.assemble((f"{glyph} {state}, {more}" if more else f"{glyph} {state}", style))
    return text.append(" !", palette.warn) if warned else text


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
        rows: of :func:`tui.commands.show_run.summary`.
        palette: the styles.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], palette: Palette = TERMINAL) -> None:
        self._rows, self._palette = rows, palette

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        forms = _FORMS if console.is_terminal else (_PIPE,)
        yield Fitting(*(self._table(form) for form in forms))

    def _table(self, form: _Form) -> Table:
        shown = [title for title in _COLUMNS if title in form.columns]
        table = plain_table(*((title, _COLUMNS[title]) for title in shown), palette=self._palette)
        for row in self._rows:
            cells = self._cells(row, form)
            table.add_row(*(cells[title] for title in shown))
        return uncut(table)

    def _cells(self, row: Mapping[str, Any], form: _Form) -> dict[str, Text]:
        """The cells of a row by the titles of their columns."""
        palette, epoch, worked = self._palette, row["metrics"].get("epoch"), row["working_seconds"]
        name = " ".join([row["name"] or "", *(f"#{tag}" for tag in row["tags"])]).strip()
        place = clean(row["place"], form.place) if form.place else ""
        return {
            "id": Text(f"  {row['id']}", palette.dim) if row["parent"] else Text(row["id"]),
            "state": state_text(row["state"], place, palette, warned=bool(row["warnings"])),
            "name": Text(clean(name, form.name), palette.accent),
            "data": Text(clean(PurePath(row["data"] or "").name, 12), palette.dim),
            "epoch": Text("" if epoch is None else f"{epoch + 1}/{row['epochs']}", palette.text),
            "clean %": self._figure(row["figures"], "clean"),
            "robust %": self._figure(row["figures"], "robust"),
            "took": Text(duration(worked) if worked else "", palette.dim),
            "age": Text(ago(row["created"]), palette.dim),
        }

    def _figure(self, figures: Mapping[str, Any], key: str) -> Text:
        """A share in percent; v marks one of the validation split, @ an ε that is not usual."""
        palette, share = self._palette, figures[key]
        if share is None:
            return Text("")
        at = f" @{figures['at']}" if figures["at"] and key == "robust" else ""
        if figures["split"] == "validation":
            return Text(f"{short_percent(share)}v{at}", palette.dim)
        style = tint(share, palette) if key == "robust" else palette.text
        return Text(f"{short_percent(share)} {at}", style)
