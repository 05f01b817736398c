"""The Rich table of a training's checkpoints, and a run's state. Data in, renderables out."""

from collections.abc import Mapping

from rich.console import RenderableType
from rich.text import Text

from runs.formats import percent
from runs.result_types import KeptCheckpoint
from tui.render.palette import TERMINAL, Palette
from tui.render.plain_table import plain_table
from tui.render.text import clean


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
