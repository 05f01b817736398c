"""Text and durations as they reach a terminal."""

import pytest

from tui.render.text import by_words, clean, duration, keeping_eps, keeping_row


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


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("pgd-untargeted ε 16/255", 23, "pgd-untargeted ε 16/255"),
        ("pgd-untargeted ε 16/255", 20, "pgd-untarg… ε 16/255"),
        ("pgd-untargeted ε 16/255", 14, "pgd-… ε 16/255"),
        ("autoattack ε 8/255 apgd-ce", 20, "aut… ε 8/255 apgd-ce"),
        ("Best robust pgd-untargeted ε 0.0314", 20, "Best robus… ε 0.0314"),
        ("pgd-untargeted", 8, "pgd-unt…"),
        ("a ε \x1b[2J", 30, "a ε ·[2J"),
        ("a ε " + "b" * 40, 10, "a ε bbbbb…"),
    ],
)
def test_a_name_is_cut_before_its_eps(text: str, limit: int, shown: str) -> None:
    assert keeping_eps(text, limit) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("an ensemble of surrogates", 25, "an ensemble of surrogates"),
        ("an ensemble of surrogates", 24, "an ensemble of …"),
        ("an ensemble of surrogates", 16, "an ensemble of …"),
        ("an ensemble of surrogates", 15, "an ensemble …"),
        ("unbreakable", 6, "unbre…"),
        ("a\x1bb c d", 6, "a·b …"),
    ],
)
def test_a_long_title_ends_with_a_whole_word(text: str, limit: int, shown: str) -> None:
    assert by_words(text, limit) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("night: Best robust", 40, "night: Best robust"),
        ("a long night of trainings: Best robust", 24, "a long nig…: Best robust"),
        ("a: b: Best robust", 15, "a…: Best robust"),
        ("a name without a row", 10, "a name wi…"),
        ("x: a row longer than the limit", 10, "x: a row …"),
    ],
)
def test_a_long_model_keeps_its_row(text: str, limit: int, shown: str) -> None:
    assert keeping_row(text, limit) == shown
    assert len(keeping_row(text, limit)) <= limit
