"""Shared fixtures and the reasons for skipping."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


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


TINY = (
    *("--preset", "demo", "--threads", "1", "--train-limit", "256"),
    *("--batch-size", "32", "--epochs", "2"),
)
"""Flags of a training that takes a second: digits, and few of them."""


class Command:
    """Runs ``advtui`` as its own process in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "ADVTUI_HOME": str(home), "COLUMNS": "120"}

    def arguments(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "tui.cli", *words]

    def __call__(self, *words: str, timeout: float = 240, **more: object) -> "Finished":
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            self.arguments(*words),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **more,
        )

    def start(self, *words: str, **more: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            self.arguments(*words),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )


Finished = subprocess.CompletedProcess[str]


@pytest.fixture
def advtui(home: Path) -> Command:
    """The command, in an empty home."""
    return Command(home)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Look again and again until the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain")
        time.sleep(0.05)
