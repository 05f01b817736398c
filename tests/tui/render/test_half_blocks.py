"""Pictures of any size as half blocks."""

import numpy as np
import pytest

from tui.render.half_blocks import half_blocks


@pytest.mark.parametrize("size", [(40, 40), (28, 28), (224, 224)])
def test_pictures_of_any_size_are_drawn_as_wide_as_cifars(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[: size[0] // 2] = (200, 100, 0)
    lines = half_blocks(pixels)
    assert [len(line) for line in lines] == [32] * 16
    shown = [line[5].style.color.triplet for line in lines]
    assert (tuple(shown[0]), tuple(shown[-1])) == ((200, 100, 0), (0, 0, 0))
