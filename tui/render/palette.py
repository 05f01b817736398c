"""The styles of what is drawn, by what they mean. Knows no theme and no Textual."""

from dataclasses import dataclass

STATES = {
    "queued": ("◌", "warn"),
    "running": ("●", "accent"),
    "completed": ("✓", "good"),
    "failed": ("✗", "bad"),
    "interrupted": ("‖", "warn"),
    "lost": ("?", "bad"),
}
"""A state's glyph, and the palette's word for its colour."""


@dataclass(frozen=True)
class Palette:
    """Rich styles by what they mean."""

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
        """Glyph and style of a run's state."""
        glyph, word = STATES.get(state, STATES["lost"])
        return glyph, str(getattr(self, word))

    def look(self, number: int) -> str:
        """The style of a series."""
        return self.series[number % len(self.series)]


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
"""The terminal's own colours, which suit its background: for what a command prints."""
