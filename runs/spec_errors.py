"""Explain a validation error of a spec in sentences, one for each wrong field."""

import difflib
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError


def explain(error: ValidationError, known_fields: Collection[str]) -> str:
    """A sentence for each wrong field of a spec, joined by semicolons.

    Args:
        error: of the union of specs.
        known_fields: names of all fields, from which a misspelt one is suggested.
    """
    sentences: dict[tuple[str, str], str] = {}
    for item in error.errors():
        path, reason = _path_and_reason(dict(item), known_fields)
        # One wrong flag may be wrong in every PGD of a study: told once, at the first.
        place = "" if reason.startswith("ε") else path.rpartition(".")[2]
        sentences.setdefault((place, reason), f"{path}: {reason}" if path else reason)
    return "; ".join(sentences.values())


def _path_and_reason(item: dict[str, Any], known_fields: Collection[str]) -> tuple[str, str]:
    where = [str(part) for part in item["loc"][1:]]  # the first part is the kind
    path = ".".join(where)
    context = item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            known = set(known_fields) - {where[-1]}  # a field of another spec is no suggestion
            close = difflib.get_close_matches(where[-1], known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            return "", f"unknown field {path!r}{hint}"
        case "missing":
            return "", f"field {path!r} is missing"
        case "union_tag_not_found":
            return "", "field 'kind' is missing: train, attack or study"
        case "union_tag_invalid":
            return "", f"unknown kind {context.get('tag')!r}: train, attack or study"
        case "value_error":
            reason = str(context["error"])
        case "literal_error":
            reason = f"{item['input']!r} is not one of {context['expected']}"
        case "string_pattern_mismatch" if where and where[-1] == "device":
            reason = f"{item['input']!r} is not one of auto, cpu, cuda, cuda:N"
        case _:
            message = item["msg"][0].lower() + item["msg"][1:]
            shown = repr(item["input"])
            reason = f"{message}, not {shown if len(shown) <= 80 else shown[:77] + '…'}"
    return path, reason
