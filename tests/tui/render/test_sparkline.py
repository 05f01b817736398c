"""Values as blocks of eight heights."""

import pytest

from tui.render.sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "width", "limits", "expected"),
    [
        ([0.0, 0.5, 1.0], 10, None, "▁▄█"),
        ([0.2, 0.2], 10, None, "▁▁"),
        ([0.2, 0.2], 10, (0.0, 1.0), "▂▂"),
        ([0.0, None, 1.0], 10, None, "▁ █"),
        ([1.0, 0.0, 1.0], 2, None, "▁█"),
        ([-5.0, 7.0], 10, (0.0, 1.0), "▁█"),
        ([None, None], 10, None, ""),
        ([], 10, None, ""),
    ],
)
def test_a_block_for_each_of_the_last_values(
    values: list[float | None], width: int, limits: tuple[float, float] | None, expected: str
) -> None:
    assert sparkline(values, width, limits) == expected
