"""What an import pulls in, and whose packages these are."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import runs

ROOT = Path(runs.__file__).parents[1]
LOADED = "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def imported_by(code: str) -> set[str]:
    """Names of the top-level packages that a fresh Python holds after ``code``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code + LOADED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_probe_sees_what_is_imported() -> None:
    assert {"json", "pydantic"} <= imported_by("import json, runs.spec")


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "import " + ", ".join(f"runs.{m.name}" for m in pkgutil.iter_modules(runs.__path__)),
            "torch torchvision pytorch_lightning lightning textual typer rich numpy tui engine",
        ),
        (
            "import engine.process.study, engine.process.heartbeat",
            "torch torchvision pytorch_lightning numpy tui",
        ),
        ("import engine.__main__, engine.attempt", "torch torchvision pytorch_lightning numpy tui"),
        ("import tui.cli", "torch pytorch_lightning pydantic rich textual numpy psutil engine"),
        (
            "import tui.commands.show_run, tui.commands.follow",
            "torch pytorch_lightning textual numpy engine",
        ),
        ("import tui.app", "torch torchvision pytorch_lightning numpy pydantic engine"),
        (
            "import tui.screens.run_detail, tui.screens.new_run, tui.screens.compare",
            "torch torchvision pytorch_lightning numpy engine",
        ),
    ],
    ids=["runs", "study", "worker", "tui", "commands", "screen", "every screen"],
)
def test_an_import_stays_light(code: str, unwanted: str) -> None:
    assert imported_by(code) & set(unwanted.split()) == set()


def test_every_module_of_runs_is_covered() -> None:
    modules = {module.name for module in pkgutil.iter_modules(runs.__path__)}

    assert {"spec", "events", "store", "launch", "results", "formats", "snapshot"} <= modules


def test_runs_is_ours_and_not_that_of_pypi() -> None:
    """inquirer pulls in a package of the same name; one overwrites the other."""
    folder = Path(runs.__file__).parent

    assert folder.name == "runs"
    for sibling in ("engine", "tui"):
        assert (folder.parent / sibling / "__init__.py").is_file()
    assert (folder / "spec.py").is_file()
