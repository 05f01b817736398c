"""The keys of the screen, from the bindings of its classes."""

import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator, Sequence

from reference_tables.markdown import code, part, table, text
from tui.render.key_help import GROUPS, group_of

SCREENS = ("tui.app", "tui.screens", "tui.widgets")
PLACES = {
    "AdvtuiApp": "everywhere",
    "AppScreen": "every screen",
    "RunListScreen": "run list",
    "RunList": "run list",
    "ScrollPage": "pages of text",
    "TablePage": "run, comparison: table",
    "RunDetailScreen": "run",
    "CompareScreen": "comparison",
    "ExamplesPane": "run: examples",
    "CurvesPane": "run, comparison",
    "RunActions": "run list, run",
    "NewRunScreen": "new run",
    "Choice": "new run: a choice",
    "MultiChoice": "new run: several choices",
    "Dialog": "every dialog",
    "Pick": "before something is lost",
    "Help": "help",
}
"""Where the keys of each class with keys of its own act, in the order of the rows of a group."""
SENTENCES = {
    "This page": "The run list and the form have their own `esc`.",
    "Run": "They act on the marked runs, else on the run at the cursor, or on the open run. In a "
    "comparison `x` exports the table; the other keys are off.",
    "App": "In a field of text `?` and `q` are letters.",
    "Dialogs": "A question before something is lost starts on the answer that keeps all.",
}
"""What the tables of some groups do not say."""
SHOWN_KEYS = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "equals_sign": "=",
    "comma": ",", "full_stop": ".", "escape": "esc", "left_square_bracket": "[",
    "right_square_bracket": "]", "left": "←", "right": "→", "up": "↑", "down": "↓",
}  # fmt: skip


def key_tables() -> str:
    """A table for each group of the help (?), with the bindings of the app, its screens and its
    widgets in the order of :data:`PLACES`."""
    owners = owners_of_keys()
    assert owners.keys() == PLACES.keys(), (
        f"PLACES in docs/reference_tables/keys.py must name the classes with keys: "
        f"{', '.join(sorted(owners.keys() ^ PLACES.keys()))} differ"
    )
    rows: dict[str, list[list[str]]] = {group: [] for group in GROUPS}
    for name, place in PLACES.items():
        for binding in owners[name].__dict__["BINDINGS"]:
            keys = (code(SHOWN_KEYS.get(key, key)) for key in binding.key.split(","))
            does, where = text(binding.description), text(place)
            rows[group_of(binding.id)].append([" ".join(keys), does, where, code(binding.id)])
    blocks = []
    for group, own in rows.items():
        sentence = SENTENCES.get(group)
        blocks += [f"### {group}", *([text(sentence)] if sentence else [])]
        blocks.append(table(("Keys", "What they do", "Where", "Id"), own))
    return part(*blocks)


def owners_of_keys() -> dict[str, type]:
    """Classes with bindings of their own, by name."""
    return {
        member.__name__: member
        for module in modules_of(SCREENS)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and member.__dict__.get("BINDINGS")
    }


def modules_of(names: Sequence[str]) -> Iterator[types.ModuleType]:
    """The modules and packages named, with everything below them."""
    for name in names:
        module = importlib.import_module(name)
        yield module
        below = getattr(module, "__path__", None)
        for entry in pkgutil.walk_packages(below or (), f"{name}."):
            yield importlib.import_module(entry.name)
