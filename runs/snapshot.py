"""Where a run stands: its events, reduced to what a person sees of it.

A pure fold: feed it events in order, read its fields. Of an earlier attempt it keeps only what
came before the checkpoint that a later attempt resumed from.
"""

import re
from dataclasses import dataclass, field

from runs.durations import Timeline
from runs.event_types import (
    AttackEvent,
    CheckpointEvent,
    ChildEvent,
    CorruptionEvent,
    EndedEvent,
    Event,
    HeartbeatEvent,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    ResumePoint,
    StartedEvent,
    SystemEvent,
)
from runs.events import events_like
from runs.result_types import KeptCheckpoint
from runs.store import Run


@dataclass
class Snapshot:
    """The state of a run's work after the events applied so far."""

    started: StartedEvent | None = None
    progress: ProgressEvent | None = None
    epochs: list[MetricEvent] = field(default_factory=list)
    """Metrics of whole epochs."""
    steps: list[MetricEvent] = field(default_factory=list)
    """Metrics within epochs."""
    kept: list[CheckpointEvent] = field(default_factory=list)
    attacks: dict[tuple[str, str], AttackEvent] = field(default_factory=dict)
    """(model, attack) to its latest event."""
    corruptions: dict[tuple[str, str], CorruptionEvent] = field(default_factory=dict)
    """(model, corruption) to its event."""
    pictures: int = 0
    """Pictures of a user's folder that an attack run evaluates; 0 before it reads them."""
    children: dict[str, ChildEvent] = field(default_factory=dict)
    """Role to its latest event."""
    notices: list[LogEvent] = field(default_factory=list)
    """What a person should know, of all attempts."""
    system: SystemEvent | None = None
    heartbeat: HeartbeatEvent | None = None
    ended: EndedEvent | None = None
    last_t: float | None = None
    """Unix seconds of the last event."""
    timeline: Timeline = field(default_factory=Timeline, compare=False)
    """When the run worked and when it waited, over all attempts."""

    def apply(self, event: Event) -> None:
        """Apply one event; unknown kinds are skipped."""
        self.last_t = event["t"]
        self.timeline.apply(event)
        match event["kind"]:
            case "started":
                self._forget_beyond(event.get("resumed_from"))
                self.started, self.ended, self.progress = event, None, None
            case "progress":
                self.progress = event
                if event.get("task") == "reading":
                    self.pictures = int(event["total"])
            case "metric":
                (self.epochs if event.get("every") == "epoch" else self.steps).append(event)
            case "checkpoint":
                self.kept.append(event)
            case "attack":
                self.attacks[event["model"], event["attack"]] = event
            case "corruption":
                self.corruptions[event["model"], event["corruption"]] = event
            case "child":
                self.children[event["role"]] = event
            case "log":
                self.notices.append(event)
            case "system":
                self.system = event
            case "heartbeat":
                self.heartbeat = event
            case "ended":
                self.ended = event

    @property
    def checkpoints(self) -> dict[str, KeptCheckpoint]:
        """Name to what each checkpoint holds now."""
        return {
            event["name"]: {
                "epoch": event["epoch"],
                "step": event["step"],
                "monitor": event.get("monitor"),
                "value": event.get("value"),
            }
            for event in self.kept
        }

    @property
    def sums(self) -> dict[str, str]:
        """Name to the SHA-256 of each checkpoint's file, where it was noted."""
        latest = {event["name"]: event for event in self.kept}
        return {name: event["sha256"] for name, event in latest.items() if "sha256" in event}

    def _forget_beyond(self, resumed_from: ResumePoint | None) -> None:
        step = -1 if resumed_from is None else resumed_from["step"]
        self.epochs = [event for event in self.epochs if event["step"] <= step]
        self.steps = [event for event in self.steps if event["step"] <= step]
        self.kept = [event for event in self.kept if event["step"] <= step]
        self.attacks = {key: event for key, event in self.attacks.items() if "cell" in event}


_LASTING = re.compile(
    rb'"kind": ?"(?:started|corruption|checkpoint|child|log|ended)"|"every": ?"epoch"|"cell": ?\{'
)


def read_snapshot(run: Run) -> Snapshot:
    """The snapshot of a run now, of what lasts: without the steps within epochs, the progress, the
    attacks that have not ended, the heartbeats and the load, which are nearly all of a long file.
    """
    snapshot = Snapshot()
    for event in events_like(run.events_path, _LASTING):
        snapshot.apply(event)
    return snapshot
