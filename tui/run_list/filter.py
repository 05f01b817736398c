"""Filter, order and fold the rows of the run list. Pure.

:func:`parse_filter` explains the language of the filter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tui.run_list.row import Row
from tui.run_list.spec_filter import order_of, spec_test, value_at, word_of

# Folding and sorting

Key = Callable[[Row], Any]
COLUMNS: dict[str, Key] = {
    "age": lambda row: -row.created,
    "name": lambda row: row.title.lower(),
    "state": lambda row: row.state,
    "kind": lambda row: row.what,
    "data": lambda row: row.data,
    "progress": lambda row: -(row.done or 0.0),
    "clean": lambda row: -(row.clean if row.clean is not None else -1.0),
    "robust": lambda row: -(row.robust if row.robust is not None else -1.0),
    "took": lambda row: -(row.seconds or 0.0),
}
"""The sort keys of the list; newest, largest and most robust come first."""


def arrange(
    rows: Iterable[Row],
    *,
    by: str = "age",
    reverse: bool = False,
    unfolded: Callable[[Row], bool] = lambda _: True,
    group: str = "",
) -> list[tuple[Row, int]]:
    """The rows in the list's order with their depth, children under their study or sweep.

    Runs at work come first, then those that wait, then those that have ended. With ``group``, a
    field of :func:`grouping`, equal values stand together, and each row says its own.

    A child whose parent is deleted stands at the top level.
    """
    every = {row.id: row for row in rows}
    children: dict[str, list[Row]] = {}
    top: list[Row] = []
    for row in every.values():
        if _depth(row, every) is not None:
            children.setdefault(row.parent or "", []).append(row)
        else:
            top.append(row)
    top.sort(key=lambda row: row.id)  # ties keep the order of ids
    top.sort(key=COLUMNS[by], reverse=reverse)
    top.sort(key=lambda row: 2 if not row.is_live else int(row.state == "queued"))
    arranged: list[tuple[Row, int]] = []

    def add(row: Row, depth: int) -> None:
        family = sorted(children.get(row.id, ()), key=lambda child: (child.created, child.id))
        arranged.append((_with_family(row, family), depth))
        if family and unfolded(row):
            for child in grouped(family, group) if row.kind == "sweep" else family:
                add(child, depth + 1)

    for row in grouped(top, group):
        add(row, 0)
    return arranged


MOST_DEPTH = 2
"""Of a training in a study of a sweep."""


def _depth(row: Row, every: Mapping[str, Row]) -> int | None:
    """How many parents a row has in the list; None at the top, or where files name a circle."""
    depth, at = 0, row
    while at.parent is not None and at.parent in every and depth <= MOST_DEPTH:
        depth, at = depth + 1, every[at.parent]
    return depth if 0 < depth <= MOST_DEPTH else None


def _with_family(parent: Row, family: Sequence[Row]) -> Row:
    """The row of a live study with the progress of its live child, of a sweep with its points."""
    if parent.kind == "sweep" and family:
        done = sum(child.state == "completed" for child in family)
        return replace(parent, progress=f"{done}/{len(family)}", done=done / len(family))
    for child in family:
        if parent.is_live and child.is_live and child.progress:
            return replace(parent, progress=f"{child.title} {child.progress}", done=child.done)
    return parent


# Grouping


def grouping(text: str) -> str:
    """The field of the term ``group:FIELD`` of a filter; empty without one."""
    fields = [term.partition(":")[2] for term in text.split() if term.startswith("group:")]
    return fields[-1] if fields else ""


def grouped(rows: Sequence[Row], field: str) -> list[Row]:
    """The rows with their value of a field, those of equal value together.

    The field is one of the words of a filter (``mode``, ``tag``) or a path of the spec, of a study
    also one of its robust training. Numbers ascend; rows without the field come last.
    """
    if not field:
        return list(rows)
    told = [(row, _value_of(row, field)) for row in rows]
    told.sort(key=lambda pair: order_of(pair[1]))
    return [replace(row, group=f"{field} {word_of(value)}") for row, value in told]


def _value_of(row: Row, field: str) -> Any:
    if field in _WORDS:
        return " ".join(_WORDS[field](row)) or None
    return value_at(row.spec, field)


# Filtering

Test = Callable[[Row], bool]

_FIGURES: dict[str, Key] = {
    "acc": lambda row: None if row.clean is None else 100 * row.clean,
    "robust": lambda row: None if row.robust is None else 100 * row.robust,
}

_WORDS: dict[str, Callable[[Row], Iterable[str]]] = {
    "mode": lambda row: [row.mode],
    "state": lambda row: [row.state],
    "kind": lambda row: [row.kind],
    "data": lambda row: [row.data],
    "name": lambda row: [row.name],
    "id": lambda row: [row.id],
    "tag": lambda row: row.tags,
}

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "=": lambda a, b: abs(a - b) < 0.05,
}


def parse_filter(text: str) -> Test:
    """The test of a filter's text; all its terms must hold.

    ``word`` is searched in id, name, kind, mode, data, state, tags and note; ``mode:robust``,
    ``state:``, ``kind:``, ``data:``, ``name:``, ``id:``, ``tag:`` in that field alone;
    ``acc>50``, ``robust<=20`` compare percentages; ``cfg.awp_gamma>0.001``, ``cfg.recipe=trades``
    compare a field of the run's spec; a leading ``-`` negates a term; ``group:recipe`` orders the
    list and hides nothing.
    """
    tests = [_term(term) for term in text.split()]
    return lambda row: all(test(row) for test in tests)


def _term(term: str) -> Test:
    if len(term) > 1 and term.startswith("-"):
        test = _term(term[1:])
        return lambda row: not test(row)
    if (of_spec := spec_test(term)) is not None:
        return lambda row: of_spec(row.spec)
    for sign, compare in _COMPARE.items():  # two-character signs come first
        field, separator, bound = term.partition(sign)
        if separator and field in _FIGURES:
            return _bound(_FIGURES[field], compare, bound)
    field, colon, wanted = term.partition(":")
    if colon and field in _WORDS:
        words = _WORDS[field]
        return lambda row: any(wanted.lower() in word.lower() for word in words(row))
    if colon and field == "group":
        return lambda _: True
    needle = term.lower()
    return lambda row: needle in _haystack(row)


def _bound(figure: Key, compare: Callable[[float, float], bool], text: str) -> Test:
    try:
        bound = float(text)
    except ValueError:  # the user is still typing
        return lambda _: True

    def test(row: Row) -> bool:
        value = figure(row)
        return value is not None and compare(value, bound)

    return test


def _haystack(row: Row) -> str:
    parts = (row.id, row.name, row.kind, row.mode, row.role, row.data, row.state, row.note)
    return " ".join((*parts, *row.tags)).lower()


def matching(rows: Sequence[Row], text: str) -> list[Row]:
    """The matching rows, with all parents and all children of each."""
    test = parse_filter(text)
    if not text.strip():
        return list(rows)
    by_id = {row.id: row for row in rows}
    shown = {row.id for row in rows if test(row)}
    below = set(shown)
    for _ in range(MOST_DEPTH):
        below |= {row.id for row in rows if row.parent in below}
        shown |= {by_id[i].parent for i in shown if by_id[i].parent in by_id}  # type: ignore[misc]
    return [row for row in rows if row.id in shown or row.id in below]
