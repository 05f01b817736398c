"""The command as a process, and waiting for what it does."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runs.store import Run

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
        return [sys.executable, "-P", "-m", "tui", *words]

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

    def timed(self, *words: str) -> tuple[str, float]:
        """Standard output of a command that succeeds, and the seconds that it took."""
        began = time.perf_counter()
        done = self(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout, time.perf_counter() - began

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
Studied = tuple[Command, Run, str, str]
"""A study at its end: the command in its home, the run, stdout, stderr."""


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Look again and again until the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain")
        time.sleep(0.05)


def result_of(run: Run) -> Any:
    """The result of a run that has one."""
    result = run.result
    assert result is not None
    return result
