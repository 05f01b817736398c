"""No module of the three packages imports itself through others.

Imports inside functions and under ``TYPE_CHECKING`` count: they hide a cycle from Python, not from
a reader.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import runs

ROOT = Path(runs.__file__).parents[1]
PACKAGES = ("runs", "engine", "tui")


def sources() -> dict[str, str]:
    """Each module of the packages by its dotted name, with its source."""
    modules = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            modules[name] = path.read_text(encoding="utf-8")
    return modules


def imported(source: str, modules: set[str]) -> Iterator[str]:
    """The modules that a module's source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in modules:
                    yield submodule
                elif node.module in modules:
                    yield str(node.module)


def graph(modules: dict[str, str]) -> dict[str, set[str]]:
    """Each module with the modules that it imports."""
    names = set(modules)
    return {name: set(imported(source, names)) for name, source in modules.items()}


def cycle(modules: dict[str, str]) -> list[str]:
    """The names along one cycle of imports, the first again at the end; [] where there is none."""
    try:
        TopologicalSorter(graph(modules)).prepare()
    except CycleError as error:
        return [str(name) for name in reversed(error.args[1])]
    return []


def test_no_module_imports_itself_through_others() -> None:
    assert " -> ".join(cycle(sources())) == ""


def test_a_cycle_is_found_wherever_its_imports_stand() -> None:
    modules = {
        "runs": "",
        "runs.a": "from runs import b",
        "runs.b": "def late():\n    import runs.c",
        "runs.c": "if TYPE_CHECKING:\n    from runs.a import A",
    }

    names = cycle(modules)

    assert names[0] == names[-1]
    assert set(names) == {"runs.a", "runs.b", "runs.c"}
    assert all(later in graph(modules)[name] for name, later in pairwise(names))
    assert cycle({**modules, "runs.c": ""}) == []


def test_every_module_is_read() -> None:
    modules = sources()

    assert {"runs.store", "engine.worker", "tui.app", "tui.screens.panes"} <= modules.keys()
    assert "tui.screens.run_list" in graph(modules)["tui.app"]


def test_a_screen_imports_neither_the_app_nor_another_screen() -> None:
    """Another screen is opened by a message; a part of a screen may be imported."""
    screens = {f"tui.screens.{name}" for name in ("compare", "new_run", "run_detail", "run_list")}

    for name, names in graph(sources()).items():
        if name.startswith("tui.screens"):
            assert not names & {*screens, "tui.app"}, name
