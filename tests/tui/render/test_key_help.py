"""The help on keys: groups, filter, columns."""

import pytest

from tui.render.key_help import KeyLine, group_of, grouped, key_help, matching
from tui.render.palette import TERMINAL

LINES = [
    KeyLine("↓ j", "down", "list.down"),
    KeyLine("S", "stop", "run.stop"),
    KeyLine("1", "curves", "run.page-curves"),
    KeyLine("click", "the head of a column: sort by it"),
    KeyLine("n", "new run", "runs.new"),
    KeyLine("? f1", "help", "app.help"),
]


def test_the_longest_beginning_of_an_id_decides_its_group() -> None:
    assert group_of("run.stop") == "Run"
    assert group_of("run.page-log") == "Move"
    assert group_of("runs.new") == "This page"
    with pytest.raises(KeyError):
        group_of("nowhere.at-all")


def test_groups_come_in_their_order_and_none_is_empty() -> None:
    groups = grouped(LINES)
    assert list(groups) == ["Move", "This page", "Run", "App", "Mouse"]
    assert [line.id for line in groups["Move"]] == ["list.down", "run.page-curves"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("stop", ["run.stop"]),
        ("STOP", ["run.stop"]),
        ("?", ["app.help"]),
        ("run.", ["run.stop", "run.page-curves"]),
        ("new run", ["runs.new"]),
        ("sort", [""]),
        ("", [line.id for line in LINES]),
        ("zzz", []),
    ],
)
def test_the_filter_looks_at_keys_words_and_ids(text: str, ids: list[str]) -> None:
    assert [line.id for line in matching(LINES, text)] == ids


@pytest.mark.parametrize("width", [40, 70, 109, 123])
def test_it_keeps_its_width_and_has_two_columns_where_they_fit(width: int) -> None:
    text = [line.plain for line in key_help(LINES, "", width, TERMINAL)]
    assert max(map(len, text)) <= width
    first = text[0].split()
    assert ("Run" in first or "App" in first) == (width >= 109)
    assert text[-1].strip()
    if width >= 70:
        assert all(any(line.text in row for row in text) for line in LINES)


def test_the_title_of_a_group_alone_is_bold() -> None:
    for row in key_help(LINES, "", 123, TERMINAL):
        assert not row.style
        for span in row.spans:
            if span.style == TERMINAL.title:
                assert row.plain[span.start : span.end] in grouped(LINES)


def test_the_filter_moves_no_column() -> None:
    def column(text: str) -> int:
        rows = [line.plain for line in key_help(LINES, text, 70, TERMINAL)]
        return next(row.index("runs.new") for row in rows if "runs.new" in row)

    assert column("") == column("runs.new")
    assert [line.plain for line in key_help(LINES, "zzz", 70, TERMINAL)] == ["no key matches"]
