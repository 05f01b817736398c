"""A user's code that has modules of our names gets its own, and everything else stays."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import engine
import runs
import tui
from engine.models.user_code import import_user_module

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes a folder of code; what it was imported as is forgotten after the test."""
    before, path, hooks = set(sys.modules), list(sys.path), list(sys.path_hooks)

    def write_files(files: dict[str, str]) -> Path:
        for name, code in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code, encoding="utf-8")
        return tmp_path

    yield write_files
    sys.path[:], sys.path_hooks[:] = path, hooks
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def imported(folder: Path, name: str) -> ModuleType:
    return import_user_module(name, str(folder))


@pytest.mark.parametrize(
    "line",
    [
        "import engine; found = engine.VALUE",
        "import engine as other; found = other.VALUE",
        "from engine import VALUE as found",
        "from engine import *; found = VALUE",
        "def late():\n    from engine import VALUE\n    return VALUE\nfound = late()",
        "found = __import__('engine').VALUE",
    ],
)
def test_a_module_of_our_name_is_the_users_in_the_users_code(write: Write, line: str) -> None:
    folder = write({"engine.py": "VALUE = 'own'", "wide_a.py": line})
    assert imported(folder, "wide_a").found == "own"
    assert sys.modules["engine"] is engine


@pytest.mark.parametrize(
    "line",
    [
        "import runs.parts.deep; found = runs.parts.deep.VALUE",
        "import runs.parts.deep as deep; found = deep.VALUE",
        "from runs.parts import deep; found = deep.VALUE",
        "from runs.parts.deep import VALUE as found",
        "from runs import parts; from runs.parts import deep; found = parts.deep.VALUE",
        "from runs import again as found",
    ],
)
def test_a_package_of_our_name_with_relative_imports(write: Write, line: str) -> None:
    folder = write(
        {
            "runs/__init__.py": "from .parts import deep\nfrom .parts.deep import VALUE as again",
            "runs/parts/__init__.py": "from . import deep\nfrom .. import __name__ as above",
            "runs/parts/deep.py": "import runs\nfrom ..beside import VALUE",
            "runs/beside.py": "VALUE = 'own'",
            "wide_b.py": line,
        }
    )
    assert imported(folder, "wide_b").found == "own"
    assert sys.modules["runs"] is runs


def test_a_package_of_the_user_imports_a_module_of_our_name(write: Write) -> None:
    folder = write(
        {
            "tui.py": "VALUE = 'own'",
            "nets_c/__init__.py": "",
            "nets_c/wide.py": "from tui import VALUE\nfrom .narrow import OWN",
            "nets_c/narrow.py": "import tui\nOWN = tui.VALUE",
        }
    )
    module = imported(folder, "nets_c.wide")
    assert (module.VALUE, module.OWN) == ("own", "own")


def test_a_package_of_our_name_without_init(write: Write) -> None:
    folder = write(
        {
            "engine/blocks.py": "VALUE = 'own'",
            "engine/deep/more.py": "from ..blocks import VALUE",
            "wide_g.py": "from engine.blocks import VALUE\nimport engine.deep.more as more",
        }
    )
    module = imported(folder, "wide_g")
    assert (module.VALUE, module.more.VALUE) == ("own", "own")


def test_a_folder_of_our_name_without_code_is_no_package(write: Write) -> None:
    folder = write({"runs/events.out": "", "wide_h.py": "import runs"})
    assert imported(folder, "wide_h").runs is runs


def test_the_factory_itself_may_lie_in_a_module_of_our_name(write: Write) -> None:
    folder = write({"engine.py": "VALUE = 'own'"})
    assert imported(folder, "engine").VALUE == "own"
    assert imported(folder, "engine") is imported(folder, "engine")


def test_without_such_a_module_the_name_is_ours(write: Write) -> None:
    folder = write({"wide_d.py": "from engine.models import resnet\nimport runs"})
    module = imported(folder, "wide_d")
    assert module.resnet is sys.modules["engine.models.resnet"]
    assert module.runs is runs


def test_nothing_else_is_shadowed(write: Write) -> None:
    folder = write({"json.py": "VALUE = 'own'", "torch.py": "", "wide_e.py": "import json, torch"})
    module = imported(folder, "wide_e")
    assert module.json is sys.modules["json"]
    assert hasattr(module.torch, "Tensor")


def test_a_module_of_our_name_that_fails_can_be_imported_again(write: Write) -> None:
    folder = write({"engine.py": "import no_such_module_at_all", "wide_f.py": "import engine"})
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
            imported(folder, "wide_f")


@pytest.mark.parametrize("ours", [engine, runs, tui])
def test_our_own_folder_as_the_users_stays_ours(ours: ModuleType) -> None:
    folder = str(Path(engine.__file__ or "").parents[1])
    assert import_user_module(ours.__name__, folder) is ours
