"""The manual and the repository's own files agree with the code."""

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMED_PATH = re.compile(r"`((?:runs|engine|tui|tests|docs|\.ci|\.github)/[\w./-]*)`")


@pytest.fixture(scope="module")
def generator() -> Iterator[ModuleType]:
    """docs/generate_reference.py as a module."""
    path = ROOT / "docs" / "generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


@pytest.fixture(scope="module")
def pages(generator: ModuleType) -> dict[str, str]:
    """The generated files as they are to be."""
    made: dict[str, str] = generator.made()
    return made


def test_the_generated_tables_are_fresh(generator: ModuleType, pages: dict[str, str]) -> None:
    assert list(generator.stale(generator.FOLDER, pages)) == []


def test_stale_missing_and_foreign_files_are_named(
    generator: ModuleType, pages: dict[str, str], tmp_path: Path
) -> None:
    for name, page in pages.items():
        (tmp_path / name).write_text(page, encoding="utf-8")
    (tmp_path / "presets.md").write_text("typed by hand\n", encoding="utf-8")
    (tmp_path / "attacks.md").unlink()
    (tmp_path / "old.md").touch()

    assert list(generator.stale(tmp_path, pages)) == ["attacks.md", "old.md", "presets.md"]


def test_every_generated_table_has_equal_columns(pages: dict[str, str]) -> None:
    """A pipe in a cell would add one."""
    for name, page in pages.items():
        for block in page.split("\n\n"):
            columns = {line.count("|") for line in block.splitlines() if line.startswith("| ")}
            assert len(columns) <= 1, (name, block)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_that_a_page_names_exist(page: Path) -> None:
    named = NAMED_PATH.findall(page.read_text(encoding="utf-8"))

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_names_that_the_architecture_page_uses_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path for name in ("runs", "engine", "tui") for path in (ROOT / name).rglob("*.py")]
    known = {word for path in modules for word in re.findall(r"\w+", path.read_text("utf-8"))}

    assert set(re.findall(r"`([A-Za-z_]\w+)`", text)) - known == set()


def test_the_version_is_that_of_pyproject_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    cited = re.search(r"^version: \"?([\w.]+)\"?$", citation, re.MULTILINE)
    released = re.search(r"^## \[(\d[\w.]*)\]", changelog, re.MULTILINE)

    assert cited is not None
    assert released is not None
    assert cited[1] == released[1] == project["version"]


def test_constraints_are_names_and_versions_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    pinned = [line for line in lines if not line.startswith("#")]
    assert pinned
    assert [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
