"""HTML as text: elements whose attributes and contents are escaped, and tables."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""What HTML refuses, or what would turn the direction of the text around."""
_VOID = ("meta", "img", "br")


class Html(str):
    """Text that is HTML already; any other text is escaped."""

    __slots__ = ()


def escape(text: object) -> Html:
    """A text, or HTML as it is."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(_CONTROLS.sub("·", str(text))))


def tag(name: str, /, *contents: object, **attributes: object) -> Html:
    """An element. ``aria_label`` gives ``aria-label``, ``class_`` gives ``class``, None nothing."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(contents)}</{name}>")


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Parts one after the other; None is left out."""
    return Html(between.join(escape(part) for part in parts if part is not None))


class Column(NamedTuple):
    """A column of a table."""

    title: object
    is_number: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], caption: str) -> Html:
    """A table in a box of its own that scrolls; the first cell of a row is its header."""
    kinds = ["number" if column.is_number else None for column in columns]
    head = tag(
        "tr",
        *(
            tag("th", column.title, scope="col", class_=kind)
            for column, kind in zip(columns, kinds, strict=True)
        ),
    )
    body = [
        tag(
            "tr",
            tag("th", first, scope="row"),
            *(tag("td", cell, class_=kind) for cell, kind in zip(rest, kinds[1:], strict=True)),
        )
        for first, *rest in rows
    ]
    whole = tag(
        "table", tag("caption", caption), tag("thead", head), "\n", tag("tbody", joined(body, "\n"))
    )
    return tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=caption)


def listing(items: Iterable[object]) -> Html:
    """A list of notes; nothing where there are none."""
    found = [tag("li", item) for item in items]
    return tag("ul", *found, class_="notes") if found else Html("")


def section(identity: str, title: str, *contents: object) -> Html | None:
    """A section with its heading; None where it has no content."""
    found = joined(contents, "\n")
    if not found.strip():
        return None
    heading = tag("h2", title, id=identity)
    return tag("section", "\n", heading, "\n", found, "\n", aria_labelledby=identity)
