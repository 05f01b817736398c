"""The fields of specs, and types in words."""

import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, is_typeddict

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reference_tables.markdown import code, first_paragraph, part, table, text
from runs import threat_model
from runs.budgets import format_budget, parse_budget

NAMES_OF_TYPES: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    type(None): "none",
}


def field_tables(*models: type[BaseModel]) -> str:
    """A table of fields for each model; a field that is itself a model links to its table."""
    blocks = []
    for model in models:
        if len(models) > 1:
            blocks.append(f"### {model.__name__}")
        rows = [
            [code(name), type_words(field), default_words(field), text(field.description or "")]
            for name, field in model.model_fields.items()
            if name != "kind"
        ]
        blocks += [
            f'<a id="{anchor(model)}"></a>',
            text(first_paragraph(model)),
            table(("Field", "Type", "Default", "Meaning"), rows),
        ]
    return part(*blocks)


def anchor(model: type[BaseModel]) -> str:
    return f"fields-of-{model.__name__.lower()}"


def type_words(field: FieldInfo) -> str:
    """The type and its limits in words."""
    limits = {}
    for limit in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if getattr(limit, name, None) is not None:
                limits[sign] = getattr(limit, name)
    words, none, _ = kind_words(field.annotation, field.metadata).partition(" or none")
    if limits:
        words += " " + ", ".join(f"{sign} {number}" for sign, number in limits.items())
    return f"{words}{',' if none and limits else ''}{none}"


def kind_words(kind: Any, metadata: Sequence[object] = ()) -> str:
    origin, members = get_origin(kind), get_args(kind)
    if any(getattr(item, "func", None) is parse_budget for item in metadata):
        return "budget: a number or a fraction"
    if hasattr(kind, "__metadata__"):
        return kind_words(kind.__origin__, kind.__metadata__)
    if origin is Literal:
        return ", ".join(code(member) for member in members)
    if origin in (Union, types.UnionType):
        return " or ".join(kind_words(member) for member in members)
    if origin is tuple:
        if members[-1] is Ellipsis:
            return f"list of {kind_words(members[0])}"
        return f"{len(members)} × {kind_words(members[0])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"[{kind.__name__}](#{anchor(kind)})"
    if origin is list:
        return f"list of {kind_words(members[0])}".replace("list of object", "list of objects")
    if is_typeddict(kind):
        return f"object ({', '.join(map(code, kind.__annotations__))})"
    if origin is dict:
        return f"object ({kind_words(members[0])}: {kind_words(members[1])})"
    return NAMES_OF_TYPES[kind]


def default_words(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return plain_words(field.default, field)


def plain_words(given: object, field: FieldInfo) -> str:
    match given:
        case None:
            return "none"
        case bool():
            return code(str(given).lower())
        case threat_model.PGD():
            return given.describe()
        case tuple():
            names = [code(getattr(member, "name", member)) for member in given]
            return ", ".join(names) or "empty"
        case float() if "budget" in type_words(field):
            return code(format_budget(given))
        case float():
            return code(f"{given:.4g}")
    return code(given)
