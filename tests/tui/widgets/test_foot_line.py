"""The foot: which keys have room, and where they stand."""

import pytest
from rich.cells import cell_len

from tui.widgets.foot_line import Hint, placed

HINTS = [
    Hint("⏎", "open", "open"),
    Hint("n", "new run", "new"),
    Hint("space", "mark", "mark"),
    Hint("S", "stop 3", "stop"),
    Hint("esc", "back", "back", stays=True),
    Hint("?", "help", "help", stays=True),
    Hint("q", "leave", "quit", stays=True),
]


@pytest.mark.parametrize("width", range(1, 90))
def test_each_key_stands_whole_or_not_at_all_and_in_order(width: int) -> None:
    places = placed(HINTS, width)
    assert [hint for _, hint in places] == [h for h in HINTS if h in [hint for _, hint in places]]
    end = -1
    for column, hint in places:
        assert column == max(end + 2, 1)
        end = column + cell_len(f"{hint.key} {hint.text}")
        assert end <= width


def test_the_way_out_and_the_help_have_room_first() -> None:
    assert [hint.key for _, hint in placed(HINTS, 27)] == ["esc", "?", "q"]
    assert [hint.key for _, hint in placed(HINTS, 34)] == ["⏎", "esc", "?", "q"]
    assert [hint.key for _, hint in placed(HINTS, 12)] == ["esc"]
    assert placed(HINTS, 90) == list(zip((1, 9, 20, 32, 42, 52, 60), HINTS, strict=True))
