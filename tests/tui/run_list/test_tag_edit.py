"""Tags of several runs: what is added, what is removed, what they share."""

import pytest

from tui.run_list.tag_edit import TagEdit, common, tag_words


def test_the_words_of_a_list_of_tags() -> None:
    assert tag_words(" #night  draft night ") == ["night", "draft"]


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("+night", ["a"], ["a", "night"]),
        ("night #draft", ["a"], ["a", "night", "draft"]),
        ("-a", ["a", "b"], ["b"]),
        ("-a +c b", ["a", "b"], ["b", "c"]),
        ("+#night -#a", ["a"], ["night"]),
        ("+a -a", ["a", "b"], ["b"]),
        ("+ -", ["a"], ["a"]),
        ("-unknown", ["a"], ["a"]),
        ("", ["a"], ["a"]),
    ],
)
def test_words_are_added_and_removed(text: str, before: list[str], after: list[str]) -> None:
    assert TagEdit.of(text).applied(before) == after


def test_an_edit_without_words_is_none() -> None:
    assert not TagEdit.of(" + ")
    assert str(TagEdit.of("b -c +a")) == "+b +a -c"


def test_the_tags_that_all_runs_have() -> None:
    assert common([["a", "b"], ["b", "c", "a"], ["b"]]) == ["b"]
    assert common([["a"], []]) == []
    assert common([]) == []
