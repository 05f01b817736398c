"""The manual and the repository's own files agree with the code."""

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from engine.evaluation.sanity.checks import attack_checks, model_checks, training_checks
from engine.training.callbacks.progress import VALIDATED
from runs.examples import ARRAYS
from runs.jsonfiles import RUN_HEADER
from runs.result_types import Result

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
    """The text of every generated file, by name."""
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
    folders = ("runs", "engine", "tui", "docs", "tests/engine")
    modules = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    known = {word for path in modules for word in re.findall(r"\w+", path.read_text("utf-8"))}

    assert set(re.findall(r"`([A-Za-z_]\w+)`", text)) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_table_that_a_page_includes_is_linked_for_github(page: Path) -> None:
    """GitHub shows the line that includes a table, not the table."""
    text = page.read_text(encoding="utf-8")
    linked = re.findall(r'"generated/(.+)"\n\n<p class="on-github">.*href="([^"]+)"', text)

    assert [name for name, _ in linked] == re.findall(r'^--8<-- "generated/(.+)"$', text, re.M)
    assert all((page.parent / href).resolve().name == name for name, href in linked)
    assert [href for _, href in linked if not (page.parent / href).is_file()] == []


def test_every_generated_table_is_on_a_page(pages: dict[str, str]) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert sorted(re.findall(r'^--8<-- "generated/(.+)"$', text, re.M)) == sorted(pages)


def test_the_page_of_files_names_every_field_array_and_metric() -> None:
    text = (ROOT / "docs" / "reference" / "run-files.md").read_text(encoding="utf-8")
    metrics = {*VALIDATED, "train_loss", "train_accuracy", "lr", "seconds"}
    expected = {*Result.__annotations__, *ARRAYS, *metrics, RUN_HEADER}

    assert expected - set(re.findall(r"`(\w+)`", text)) == set()


def test_the_pages_name_the_number_of_checks() -> None:
    checks = [
        *attack_checks([], []),
        *model_checks([], full=True, ce_alone=True),
        *training_checks([]),
    ]

    assert len(checks) + 1 == 20, "change the number on the pages too"  # one needs two attacks
    for page in ("README.md", "docs/quickstart.md"):
        assert "twenty checks" in (ROOT / page).read_text(encoding="utf-8").lower()


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
