"""Text and durations as they reach a terminal."""

import pytest

from tui.render.text import clean, duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "–"),
        (0, "0 s"),
        (59.6, "1 m 00 s"),
        (3599, "59 m 59 s"),
        (3600, "1 h 00 m"),
        (90_000, "1 d 01 h"),
    ],
)
def test_durations_are_short(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize("text", ["a\x00b", "a\x9bb", "a\u202eb", "a\nb", "a\tb", "a\x7fb"])
def test_controls_and_bidirectional_marks_are_made_harmless(text: str) -> None:
    assert clean(text) == "a·b"


def test_a_long_text_is_cut() -> None:
    assert len(clean("x" * 10_000)) == 300
