"""Long texts as lines of a given width."""

import pytest
from rich.text import Text

from tui.render.lines import labelled


@pytest.mark.parametrize("width", [24, 38, 60, 100])
def test_a_value_beside_its_label_wraps_by_words(width: int) -> None:
    text = "PGD-20 with random start and one restart under the budget of eight"
    lines = [line.plain for line in labelled(Text("attacks.0.text  "), Text(text), width)]

    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == ["attacks.0.text", *text.split()]
    assert lines[0].startswith("attacks.0.text")


def test_an_empty_value_leaves_its_label() -> None:
    assert [line.plain.strip() for line in labelled(Text("note  "), Text(), 60)] == ["note"]
