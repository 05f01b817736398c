"""The keys of the screen, from the bindings of its classes."""

import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Iterator, Sequence

from reference_tables.markdown import code, first_paragraph, part, table, text

SCREENS = ("tui.app", "tui.screens", "tui.widgets")
SHOWN_KEYS = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "equals_sign": "=",
    "comma": ",", "full_stop": ".", "escape": "esc", "left_square_bracket": "[",
    "right_square_bracket": "]", "left": "←", "right": "→", "up": "↑", "down": "↓",
}  # fmt: skip


def key_tables() -> str:
    """The bindings of the app, its screens and its widgets, in the order of their modules."""
    blocks = []
    for owner in owners_of_keys():
        rows = [
            [
                " ".join(code(SHOWN_KEYS.get(key, key)) for key in binding.key.split(",")),
                text(binding.description),
                code(binding.id or ""),
            ]
            for binding in owner.__dict__["BINDINGS"]
        ]
        blocks += [
            f"### {words_of(owner.__name__)}",
            text(first_paragraph(owner)),
            table(("Keys", "What they do", "Id"), rows),
        ]
    return part(*blocks)


def words_of(name: str) -> str:
    """``RunListScreen`` as ``Run list screen``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def owners_of_keys() -> list[type]:
    """Classes with bindings of their own, by module and place in it."""
    found: dict[type, None] = {}
    for module in modules_of(SCREENS):
        classes = [
            member
            for _, member in inspect.getmembers(module, inspect.isclass)
            if member.__module__ == module.__name__ and member.__dict__.get("BINDINGS")
        ]
        classes.sort(key=lambda member: inspect.getsourcelines(member)[1])
        found.update(dict.fromkeys(classes))
    return list(found)


def modules_of(names: Sequence[str]) -> Iterator[types.ModuleType]:
    """The modules and packages named, with everything below them."""
    for name in names:
        module = importlib.import_module(name)
        yield module
        below = getattr(module, "__path__", None)
        for entry in pkgutil.walk_packages(below or (), f"{name}."):
            yield importlib.import_module(entry.name)
