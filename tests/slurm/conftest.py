"""A private Slurm for the tests of this folder, and the command in a home that its nodes see."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtui_process import Command
from private_slurm import PrivateSlurm, missing, private_slurm
from runs.slurm_queue import Queue


@pytest.fixture(scope="session")
def cluster() -> Iterator[PrivateSlurm]:
    """Two nodes; skipped where Slurm is not installed."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:  # short: it holds a socket
        folder = Path(name)
        folder.chmod(0o755)
        with private_slurm(folder) as slurm:
            yield slurm


@pytest.fixture
def slurm(cluster: PrivateSlurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateSlurm]:
    """The cluster without a job, as this process and its children find it."""
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("runs.slurm_queue.KEPT_S", 0.2)
    for module in ("runs.slurm_queue", "runs.run_state", "runs.submission"):
        monkeypatch.setattr(f"{module}.QUEUE", Queue())
    yield cluster
    cluster.clear()


@pytest.fixture
def advtui(slurm: PrivateSlurm, tmp_path: Path) -> Command:
    """The command in an empty home, with this Slurm."""
    assert slurm.env["SLURM_CONF"] == os.environ["SLURM_CONF"]
    return Command(tmp_path / "home")
