"""The kinds of events with their fields."""

import ast
import inspect
from itertools import pairwise
from typing import get_type_hints

from reference_tables.fields import kind_words
from reference_tables.markdown import code, first_paragraph, part, table, text


def event_tables() -> str:
    """The kinds of events with their fields, from the classes that a writer fills."""
    from runs import event_types

    blocks = []
    for name, fields_of_kind in vars(event_types).items():
        kind = name.removesuffix("Fields")
        if kind in (name, ""):
            continue
        hints, notes = get_type_hints(fields_of_kind), attribute_notes(fields_of_kind)
        rows = [
            [code(field), kind_words(hints[field]), text(notes.get(field, ""))] for field in hints
        ]
        blocks += [
            f"### {code(kind.lower())}",
            text(first_paragraph(fields_of_kind)),
            table(("Field", "Type", "Meaning"), rows),
        ]
    return part(*blocks)


def attribute_notes(owner: type) -> dict[str, str]:
    """The strings that stand below the attributes of a class, by attribute."""
    (node,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(node, ast.ClassDef)
    return {
        field.target.id: str(note.value.value)
        for field, note in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(note, ast.Expr)
        and isinstance(note.value, ast.Constant)
    }
