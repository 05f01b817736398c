"""The themes of the screen, and the palette of each theme.

Colour is never the only sign of a meaning: ``advtui-plain`` has no colours and loses nothing.
"""

from typing import TYPE_CHECKING, Any

from textual.theme import Theme

from tui.render.palette import Palette

if TYPE_CHECKING:
    from textual.app import App

_SERIES_DARK = (
    *("#7aa2f7", "#e0af68", "#9ece6a", "#bb9af7"),
    *("#f7768e", "#7dcfff", "#c0caf5", "#ff9e64"),
)
_SERIES_LIGHT = (
    *("#0b57a4", "#b35900", "#1a7f37", "#7d3cb5"),
    *("#b3261e", "#0a7d8c", "#5a6270", "#7a5b00"),
)
_SERIES_PLAIN = ("#ffffff", "#d0d0d0", "#a8a8a8", "#e8e8e8")

DARK = Theme(
    name="advtui-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#e0af68",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    foreground="#d3d7e0",
    background="#13161b",
    surface="#191d24",
    panel="#232933",
)
LIGHT = Theme(
    name="advtui-light",
    primary="#0b57a4",
    secondary="#0a7d8c",
    accent="#8a5a00",
    success="#1a7f37",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#22272e",
    background="#fbfbf8",
    surface="#f1f1ec",
    panel="#e4e4de",
    dark=False,
)
PLAIN = Theme(
    name="advtui-plain",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffffff",
    success="#ffffff",
    warning="#ffffff",
    error="#ffffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
)
THEMES = (DARK, LIGHT, PLAIN)


def palette_of(app: "App[Any]") -> Palette:
    """The palette of the app's current theme."""
    theme = app.current_theme
    colours = app.theme_variables

    def colour(name: str, instead: str) -> str:
        value = colours.get(name, instead)
        return value if value.startswith("#") else instead

    series: tuple[str, ...]
    if theme.name == PLAIN.name:
        series = _SERIES_PLAIN
    else:
        series = _SERIES_DARK if theme.dark else _SERIES_LIGHT
    dark = theme.dark
    if theme.name == PLAIN.name:
        dim, faint = "#c8c8c8", "#707070"
    else:
        dim = "#8b93a3" if dark else "#5d6570"
        faint = "#3b4350" if dark else "#c4c8cc"
    return Palette(
        text=colour("foreground", "#d3d7e0" if dark else "#22272e"),
        dim=dim,
        faint=faint,
        title=f"bold {colour('foreground', '#ffffff' if dark else '#000000')}",
        accent=colour("primary", "#7aa2f7" if dark else "#0b57a4"),
        good=colour("success", "#9ece6a" if dark else "#1a7f37"),
        warn=colour("warning", "#e0af68" if dark else "#8a5a00"),
        bad=colour("error", "#f7768e" if dark else "#b3261e"),
        bar=colour("primary", "#7aa2f7" if dark else "#0b57a4"),
        series=series,
    )
