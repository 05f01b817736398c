"""Styles by their meaning, and the glyph of each state of a run. Knows no theme and no Textual."""

from dataclasses import dataclass

STATES = {
    "queued": ("◌", "warn"),
    "running": ("●", "accent"),
    "unresponsive": ("◎", "bad"),
    "completed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "interrupted": ("‖", "warn"),
    "lost": ("?", "bad"),
}
"""The glyph of each state, and the field of :class:`Palette` that holds its style."""


@dataclass(frozen=True)
class Palette:
    """Rich styles by their meaning."""

    text: str
    dim: str
    faint: str
    title: str
    accent: str
    good: str
    warn: str
    bad: str
    bar: str
    series: tuple[str, ...]

    def state(self, state: str) -> tuple[str, str]:
        """Glyph and style of a run's state; those of ``lost`` for an unknown state."""
        glyph, field = STATES.get(state, STATES["lost"])
        return glyph, str(getattr(self, field))

    def series_style(self, colour: int) -> str:
        """The style of a series; ``colour`` counts the series from 0 and wraps around."""
        return self.series[colour % len(self.series)]


TERMINAL = Palette(
    text="",
    dim="dim",
    faint="dim",
    title="bold",
    accent="cyan",
    good="green",
    warn="yellow",
    bad="red",
    bar="cyan",
    series=("cyan", "yellow", "green", "magenta", "red", "blue", "bright_cyan", "bright_yellow"),
)
"""The terminal's own colours, for the output of commands: they suit its background."""

BAD, FAIR = 0.10, 0.30
"""A robust accuracy below the first is tinted as bad, below the second as a warning."""


def tint(share: float, palette: Palette) -> str:
    """The style of a robust accuracy, by its value."""
    if share < BAD:
        return palette.bad
    return palette.warn if share < FAIR else palette.good
