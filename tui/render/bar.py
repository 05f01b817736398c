"""A progress bar as styled texts. Its done part is a thicker line: it needs no colour."""

from tui.render.palette import Palette


def bar_parts(share: float, width: int, palette: Palette) -> list[tuple[str, str]]:
    """Texts with their styles, ``width`` cells in all; ``share`` in [0, 1] is done."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return [("━" * full, palette.bar), ("╌" * (width - full), palette.faint)]
