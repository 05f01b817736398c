"""Terms of the run list's filter that compare a field of a run's spec: ``cfg.awp_gamma>0.001``.

Pure. A spec is the content of spec.json, unchecked: a run of another version keeps its own fields.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from runs.budgets import parse_budget

SpecTest = Callable[[Mapping[str, Any]], bool]

_TERM = re.compile(r"cfg\.([\w.]+)(>=|<=|>|<|=|:)(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_MISSING = object()


def spec_test(term: str) -> SpecTest | None:
    """The test of a term ``cfg.FIELD SIGN VALUE``; None where the term is of another form.

    FIELD is a field of the spec or a dotted path (``attack.eps``, ``attacks.0.name``). The signs
    ``>``, ``>=``, ``<`` and ``<=`` compare numbers; a budget may be written ``8/255``. ``=`` takes
    a number, or the whole word that the file has (``true``, ``null``, ``trades``), in any case;
    ``:`` takes a part of it. A run without the field never matches. A term without a value, or an
    order with no number, holds for every run: its user is still typing.
    """
    match = _TERM.fullmatch(term)
    if match is None:
        return None
    path, sign, text = match[1].split("."), match[2], match[3].lower()
    bound = _number(text)
    if not text or (sign in _ORDERS and bound is None):
        return lambda _: True

    def test(spec: Mapping[str, Any]) -> bool:
        value = _value(spec, path)
        if value is _MISSING:
            return False
        number = _as_number(value)
        if sign in _ORDERS:
            return number is not None and bound is not None and _ORDERS[sign](number, bound)
        if sign == "=" and number is not None and bound is not None:
            return math.isclose(number, bound, rel_tol=1e-9)
        word = _word(value)
        return text == word if sign == "=" else text in word

    return test


def value_at(spec: Mapping[str, Any], field: str) -> Any:
    """The value at a dotted path of a spec, of a study or a sweep also of what it trains.

    None where it has none.
    """
    for prefix in ((), ("robust",), ("base",), ("base", "robust")):
        value = _value(spec, [*prefix, *field.split(".")])
        if value is not _MISSING:
            return value
    return None


def word_of(value: Any) -> str:
    """A value for a list; a dash for none."""
    return "–" if value is None else _word(value)


def order_of(value: Any) -> tuple[int, float, str]:
    """A key by which numbers ascend, then words, then what is absent."""
    number = _as_number(value)
    if number is not None:
        return (0, number, "")
    return (2, 0.0, "") if value is None else (1, 0.0, _word(value))


def _value(spec: Any, path: list[str]) -> Any:
    """The value at a path through objects and lists, else :data:`_MISSING`."""
    place = spec
    for part in path:
        if isinstance(place, Mapping) and part in place:
            place = place[part]
        elif isinstance(place, list) and re.fullmatch("[0-9]{1,6}", part):
            if int(part) >= len(place):
                return _MISSING
            place = place[int(part)]
        else:
            return _MISSING
    return place


def _as_number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return float(value) if is_number else None
    except OverflowError:  # an integer of 400 digits in a file
        return None


def _number(text: str) -> float | None:
    try:
        return parse_budget(text)
    except ValueError:
        return None


def _word(value: Any) -> str:
    """A value as JSON writes it, in lower case: ``true``, ``null``, ``trades``."""
    if value is None:
        return "null"
    return str(value).lower()
