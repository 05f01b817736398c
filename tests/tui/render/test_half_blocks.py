"""Pictures of any size as half blocks."""

import numpy as np
import pytest
from rich.segment import Segment

from tui.render.half_blocks import half_blocks


def colour(segment: Segment) -> tuple[int, ...]:
    """Red, green and blue of a segment's foreground."""
    assert segment.style is not None
    assert segment.style.color is not None
    assert segment.style.color.triplet is not None
    return tuple(segment.style.color.triplet)


@pytest.mark.parametrize("size", [(40, 40), (28, 28), (224, 224)])
def test_pictures_of_any_size_are_drawn_as_wide_as_cifars(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[: size[0] // 2] = (200, 100, 0)
    lines = half_blocks(pixels)
    assert [len(line) for line in lines] == [32] * 16
    assert (colour(lines[0][5]), colour(lines[-1][5])) == ((200, 100, 0), (0, 0, 0))
