"""Shared fixtures and the reasons for skipping."""

import json
import os
import shutil
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: a core for each worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from advtui_process import TINY, Command, Studied
from runs.locks import FileLock
from runs.store import Store


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; one for single files, and for what measures time."""
    is_plain = config.getoption("markexpr") == "not slow" and not config.args[1:]
    is_whole = all(Path(arg).is_dir() for arg in config.args)
    return 2 if is_plain and is_whole and config.getoption("capture") != "no" else 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ADVTUI_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def cifar100() -> Path:
    """The folder that holds ``cifar-100-python/``."""
    named = os.environ.get("ADVTUI_CIFAR100")
    if not named or not (Path(named) / "cifar-100-python" / "train").is_file():
        pytest.skip("ADVTUI_CIFAR100 names no folder that holds cifar-100-python/")
    return Path(named)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA GPU")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store of an empty home."""
    return Store(tmp_path)


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    """A folder with a user's network in it, to be imported as a package."""
    from own_network import write_package

    return write_package(tmp_path)


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A user's pictures, in a folder for each class."""
    from class_folders import write_class_folders

    return write_class_folders(tmp_path / "pictures")


@pytest.fixture
def advtui(home: Path) -> Command:
    """The command, in an empty home."""
    return Command(home)


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """A tiny study that has been run to its end: command, run, stdout, stderr.

    The workers of pytest-xdist run it once, and each takes a copy of its home.
    """
    home = tmp_path_factory.mktemp("studied") / "home"
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    shared = home.parent if session is None else tmp_path_factory.getbasetemp().parent / session
    shared.mkdir(exist_ok=True)
    with FileLock(shared / "lock"):
        if not (told := shared / "told.json").exists():
            words = ("--train-limit", "640", "--limit", "40", "--name", "first look")
            done = Command(shared / "made")("study", *TINY, *words, "--tag", "tiny")
            assert done.returncode == 0, done.stderr
            told.write_text(json.dumps([done.stdout, done.stderr]), encoding="utf-8")
    shutil.copytree(shared / "made", home)
    study = next(run for run in Store(home).runs() if run.kind == "study")
    stdout, stderr = json.loads(told.read_text(encoding="utf-8"))
    return Command(home), study, stdout, stderr
