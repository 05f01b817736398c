"""Runs of a home whose jobs a test follows."""

from typing import Any

import torch

from advtui_process import Command
from engine.models.checkpoint import read_checkpoint
from runs.store import Run, Store

SLURM = ("--launcher", "slurm")


def only_run(advtui: Command) -> Run:
    """The one run of the home that has no parent."""
    (run,) = (run for run in Store(advtui.home).runs() if run.parent is None)
    return run


def last_weights(run: Run) -> dict[str, Any]:
    content: dict[str, Any] = read_checkpoint(run.checkpoint("last"))
    return content["state_dict"]  # type: ignore[no-any-return]


def assert_equal_weights(run: Run, other: Run) -> None:
    """The last weights of two trainings are equal, bit for bit."""
    expected = last_weights(other)
    for name, value in last_weights(run).items():
        assert torch.equal(value, expected[name]), name
