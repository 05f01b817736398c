"""The run that a worker carries out, with its two channels: events out, stop requests in."""

from collections.abc import Callable
from dataclasses import dataclass

from engine.process.stop_signal import StopSignal
from runs.event_types import StartedFields
from runs.events import EventWriter
from runs.store import Run

ReportStarted = Callable[[StartedFields], None]
"""Writes the ``started`` event; called once, when everything is checked and the device is ours."""


@dataclass(frozen=True)
class RunContext:
    """What every part of a worker needs of its run."""

    run: Run
    events: EventWriter
    stop: StopSignal
