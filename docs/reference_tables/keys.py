"""The keys of the screen, from the bindings of its classes."""

import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator, Sequence

from reference_tables.markdown import code, part, table, text

SCREENS = ("tui.app", "tui.screens", "tui.widgets")
PLACES = {
    "AdvtuiApp": ("Everywhere", "In a field of text these keys are letters."),
    "AppScreen": ("Every screen", "The run list and the form have their own `esc`."),
    "RunListScreen": ("Run list", ""),
    "RunList": ("Run list: rows", ""),
    "RunActions": (
        "Run list and run: actions",
        "They act on the run under the cursor or on the open run. In a comparison `x` exports the "
        "table; the other keys are off.",
    ),
    "RunDetailScreen": ("Run", ""),
    "CurvesPane": ("Run and comparison: curves", ""),
    "ExamplesPane": ("Run: examples", ""),
    "ScrollPage": ("Run and comparison: pages of text", ""),
    "TablePage": ("Run and comparison: table", ""),
    "CompareScreen": ("Comparison", ""),
    "NewRunScreen": ("New run", ""),
    "Choice": ("New run: a field with a choice", ""),
    "MultiChoice": ("New run: a field with several choices", ""),
    "Dialog": ("Dialogs", ""),
    "Pick": (
        "Dialogs: a question before something is lost",
        "It starts on the answer that keeps all.",
    ),
    "Help": ("Help", ""),
}
"""For each class with keys of its own, in the order of the page: the heading, and a sentence where
the heading does not say enough."""
SHOWN_KEYS = {
    "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "equals_sign": "=",
    "comma": ",", "full_stop": ".", "escape": "esc", "left_square_bracket": "[",
    "right_square_bracket": "]", "left": "←", "right": "→", "up": "↑", "down": "↓",
}  # fmt: skip


def key_tables() -> str:
    """The bindings of the app, its screens and its widgets, in the order of :data:`PLACES`."""
    owners = owners_of_keys()
    assert owners.keys() == PLACES.keys(), (
        f"PLACES in docs/reference_tables/keys.py must name the classes with keys: "
        f"{', '.join(sorted(owners.keys() ^ PLACES.keys()))} differ"
    )
    blocks = []
    for name, (heading, sentence) in PLACES.items():
        rows = [
            [
                " ".join(code(SHOWN_KEYS.get(key, key)) for key in binding.key.split(",")),
                text(binding.description),
                code(binding.id or ""),
            ]
            for binding in owners[name].__dict__["BINDINGS"]
        ]
        blocks += [
            f"### {heading}",
            *([text(sentence)] if sentence else []),
            table(("Keys", "What they do", "Id"), rows),
        ]
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
