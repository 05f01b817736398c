"""Check JSON values against type annotations: what the program may rely on in a file.

A ``TypedDict`` is the one description of an object: the type checker reads it, and so does
:func:`parser`, which makes a function that takes foreign JSON and returns a value of that type.
Knows the types that JSON needs: str, int, float, bool, None, ``Any``, ``Literal``, unions, lists,
tuples, dictionaries with string keys, and ``TypedDict``.
"""

import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

INVALID: Any = object()
"""What a parser returns for a value that is not of its type."""
LARGEST = 1e300
"""Numbers beyond this are no measurement; as integers they would overflow a float."""
Parser = Callable[[Any], Any]


@cache
def parser(annotation: Any) -> Parser:
    """A function from a JSON value to the value as ``annotation`` describes it, or INVALID.

    An object without a required key, or with a wrong value for one, is invalid. A wrong value of
    a key that is not required is left out, and so is a wrong item of a list or dictionary: one
    damaged entry does not hide the others. Keys that the type does not name are kept.

    Raises:
        TypeError: the annotation is none that JSON needs.
    """
    if isinstance(annotation, type) and annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation is Any:
        return lambda value: value
    if annotation is None:
        return _SCALARS[types.NoneType]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (NotRequired, Required):
        return parser(arguments[0])
    if origin in (Union, types.UnionType):
        return _union([parser(argument) for argument in arguments])
    if origin is Literal:
        return lambda value: (
            value if isinstance(value, str | int | None) and value in arguments else INVALID
        )
    if origin is list:
        return _list(parser(arguments[0]))
    if origin is tuple:
        return _tuple([parser(argument) for argument in arguments])
    if origin is dict:
        return _dict(parser(arguments[1]))
    if isinstance(annotation, type) and hasattr(annotation, "__required_keys__"):
        return _typed_dict(annotation)
    raise TypeError(f"{annotation!r} is not a type of JSON")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return INVALID
    return value if abs(value) < LARGEST else INVALID  # NaN is below nothing


def _integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return INVALID
    return value if abs(value) < LARGEST else INVALID


def _exactly(kind: type) -> Parser:
    return lambda value: value if isinstance(value, kind) else INVALID


_SCALARS: dict[type, Parser] = {
    str: _exactly(str),
    bool: _exactly(bool),
    types.NoneType: _exactly(types.NoneType),
    int: _integer,
    float: _number,
}


def _union(members: list[Parser]) -> Parser:
    def parse(value: Any) -> Any:
        for member in members:
            if (parsed := member(value)) is not INVALID:
                return parsed
        return INVALID

    return parse


def _list(item: Parser) -> Parser:
    def parse(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return INVALID
        return [parsed for entry in value if (parsed := item(entry)) is not INVALID]

    return parse


def _tuple(items: list[Parser]) -> Parser:
    def parse(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(items):
            return INVALID
        parsed = tuple(item(entry) for item, entry in zip(items, value, strict=True))
        return INVALID if any(entry is INVALID for entry in parsed) else parsed

    return parse


def _dict(item: Parser) -> Parser:
    def parse(value: Any) -> Any:
        if not isinstance(value, dict):
            return INVALID
        return {
            key: parsed
            for key, entry in value.items()
            if isinstance(key, str) and (parsed := item(entry)) is not INVALID
        }

    return parse


def _typed_dict(kind: Any) -> Parser:
    hints = get_type_hints(kind, include_extras=True)
    required = [(key, parser(hints[key])) for key in hints if key in kind.__required_keys__]
    optional = [(key, parser(hints[key])) for key in hints if key not in kind.__required_keys__]

    def parse(value: Any) -> Any:
        if not isinstance(value, dict):
            return INVALID
        parsed = dict(value)
        for key, item in required:
            entry = item(value.get(key, INVALID))
            if entry is INVALID:
                return INVALID
            parsed[key] = entry
        for key, item in optional:
            if key in value:
                entry = item(value[key])
                if entry is INVALID:
                    del parsed[key]
                else:
                    parsed[key] = entry
        return parsed

    return parse
