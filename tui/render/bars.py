"""Progress bars as runs of characters with their styles. They need no colour."""

from tui.render.palette import Palette

Tones = list[tuple[str, str]]
"""Runs of characters, each with its style."""
FOOLED, HELD, TO_COME = "━", "─", "╌"
"""An attack's images on which it has succeeded, on which it has not, and those to come."""


def bar(share: float, width: int, palette: Palette) -> Tones:
    """A progress bar: the done share is a thick line."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return [("━" * full, palette.bar), ("╌" * (width - full), palette.faint)]


def attack_bar(done: float, total: float, successes: float, width: int, palette: Palette) -> Tones:
    """The bar of an attack in two tones: images on which it succeeded, and on which it did not."""
    whole = max(total, 1)
    cells = round(width * min(max(done / whole, 0.0), 1.0))
    fooled = min(round(width * max(successes / whole, 0.0)), cells)
    return [
        (FOOLED * fooled, palette.bad),
        (HELD * (cells - fooled), palette.good),
        (TO_COME * (width - cells), palette.faint),
    ]


def legend(palette: Palette) -> Tones:
    """What the tones of :func:`attack_bar` mean."""
    return [
        *((FOOLED, palette.bad), (" success  ", palette.dim)),
        *((HELD, palette.good), (" none  ", palette.dim)),
        *((TO_COME, palette.faint), (" to come", palette.dim)),
    ]
