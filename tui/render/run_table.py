"""Rich tables of runs and of a training's checkpoints. Data in, renderables out."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from runs.formats import percent
from runs.result_types import KeptCheckpoint
from tui.render.palette import TERMINAL
from tui.render.plain_table import plain_table
from tui.render.text import ago, clean
from tui.render.text import percent as short_percent


def kept_checkpoints(checkpoints: Mapping[str, KeptCheckpoint]) -> RenderableType:
    """The checkpoints of a training. Figures are of the validation split, not of the test split."""
    table = plain_table(
        ("checkpoint", "left"), ("epoch", "right"), ("monitored", "left"), ("validation %", "right")
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


def state_text(state: str, place: str = "") -> Text:
    """The state with its glyph, of a queued run with its place: colour is never its only sign."""
    glyph, style = TERMINAL.state(state)
    return Text(f"{glyph} {state}, {place}" if place else f"{glyph} {state}", style=style)


def _figure(figures: Mapping[str, Any], key: str) -> Text:
    """A share in percent; v marks one of the validation split, @ an ε that is not the usual one."""
    if figures[key] is None:
        return Text("")
    at = f" @{figures['at']}" if figures["at"] and key == "robust" else ""
    split = "v" if figures["split"] == "validation" else " "
    return Text(short_percent(figures[key]) + split + at)


def run_list(rows: list[dict[str, Any]]) -> RenderableType:
    """The runs of a home; children are indented under their study."""
    table = plain_table(
        ("id", "left"),
        ("state", "left"),
        ("name", "left"),
        ("data", "left"),
        ("epoch", "right"),
        ("clean %", "right"),
        ("robust %", "right"),
        ("age", "right"),
    )
    for row in rows:
        metrics = row["metrics"]
        epoch = "" if metrics.get("epoch") is None else f"{metrics['epoch'] + 1}/{row['epochs']}"
        tags = "".join(f" #{tag}" for tag in row["tags"])
        table.add_row(
            Text(("  " if row["parent"] else "") + row["id"]),
            state_text(row["state"], row["place"]),
            Text(clean((row["name"] or "") + tags, 24)),
            Text(clean(row["data"] or "", 12)),
            Text(epoch),
            *(_figure(row["figures"], key) for key in ("clean", "robust")),
            Text(ago(row["created"])),
        )
    return table
