"""Pictures as half-blocks: two pixels per cell, side by side with their captions."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

HALF = "▀"
WIDTH, GAP = 32, 2
"""Cells of a picture, and between two pictures."""

Panel = tuple[list[Text], list[list[Segment]]]
"""The caption lines above a picture, and the lines of the picture."""


def half_blocks(pixels: Any) -> list[list[Segment]]:
    """A picture (H, W, 3) in uint8 as lines of :data:`WIDTH` cells, two pixels in each.

    A CIFAR image is drawn pixel by pixel. An image of another width is resized to it.
    """
    lines = []
    pixels = _resized(pixels)
    for top in range(0, len(pixels), 2):
        upper = pixels[top].tolist()
        lower = pixels[min(top + 1, len(pixels) - 1)].tolist()
        lines.append(
            [
                Segment(HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
                for above, below in zip(upper, lower, strict=True)
            ]
        )
    return lines


def _resized(pixels: Any) -> Any:
    height, width, _ = pixels.shape
    if width == WIDTH:
        return pixels
    import numpy as np
    from PIL import Image

    method = Image.Resampling.BOX if width > WIDTH else Image.Resampling.NEAREST
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def beside(panels: Sequence[Panel], base: Style) -> Iterator[Text | list[Segment]]:
    """The lines of panels side by side: the captions, then the pictures."""
    captions = max((len(caption) for caption, _ in panels), default=0)
    for n in range(captions):
        line = Text()
        for caption, _ in panels:
            text = caption[n].copy() if n < len(caption) else Text()
            text.truncate(WIDTH, pad=True)
            line.append_text(text)
            line.append(" " * GAP)
        yield line
    blank, gap = Segment(" " * WIDTH, base), Segment(" " * GAP, base)
    for n in range(max((len(picture) for _, picture in panels), default=0)):
        segments: list[Segment] = []
        for _, picture in panels:
            segments += picture[n] if n < len(picture) else [blank]
            segments.append(gap)
        yield segments
