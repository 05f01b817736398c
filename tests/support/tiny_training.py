"""A training of seconds, carried out in this process."""

from pathlib import Path
from typing import Any

import torch

from engine.process.run_context import RunContext
from engine.training.trainer import train
from runs.events import EventReader, EventWriter
from runs.overrides import override
from runs.presets import preset
from runs.spec import TrainSpec
from runs.store import Run, Store


class NeverStop:
    """A :class:`engine.process.stop_signal.StopSignal` that nobody gives."""

    requested = False

    def listen(self) -> None:
        pass


def tiny(**fields: Any) -> TrainSpec:
    demo = preset("demo").child("robust")
    assert isinstance(demo, TrainSpec)
    small = {"width": 4, "epochs": 2, "train_limit": 128, "batch_size": 32, "val_per_class": 2}
    if fields.get("recipe") not in ("standard", "fast"):  # which refuse to hear of steps
        small["steps"] = 1
    return override(demo, {**small, "share": True, **fields})


def carried_out(home: Path, spec: TrainSpec, device: str = "cpu") -> tuple[Run, dict[str, Any]]:
    run = Store(home).create(spec)
    events = EventWriter(run.events_path)
    with torch.random.fork_rng(devices=[]):
        context = RunContext(run, events, NeverStop())  # type: ignore[arg-type]
        result = train(context, spec, torch.device(device), None)
    events.close()
    return run, result


def warnings(run: Run, level: str = "warning") -> list[str]:
    events = EventReader(run.events_path).new()
    return [e["message"] for e in events if e["kind"] == "log" and e["level"] == level]
