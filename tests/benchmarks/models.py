"""Trained networks to attack: of a study that is at hand, or made in a minute or two.

``ADVTUI_CHECKPOINTS`` names the home of a finished study on CIFAR-100 (as made by ``advtui --home
HOME study --preset cpu``); it is only read.
"""

import os
from pathlib import Path

import torch

from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from engine.training.trainer import train
from runs.events import EventWriter
from runs.spec import TrainSpec
from runs.store import Store

BEST = {"baseline": "best_clean", "robust": "best_robust"}


def at_hand(mode: str) -> Path | None:
    """The checkpoint of the newest baseline or robust run in ``ADVTUI_CHECKPOINTS``."""
    home = os.environ.get("ADVTUI_CHECKPOINTS")
    if not home:
        return None
    runs = [run for run in Store(Path(home)).runs() if run.mode == mode]
    return max(runs, key=lambda run: run.created).checkpoint(BEST[mode])


def made(spec: TrainSpec, home: Path) -> Path:
    """The checkpoint of a training on the CPU, in a home of its own."""
    run = Store(home).create(spec)
    context = RunContext(run, EventWriter(run.events_path), StopSignal(run))
    train(context, spec, torch.device("cpu"), None)
    return run.checkpoint(BEST[spec.mode])
