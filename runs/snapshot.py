"""Where a run stands: its events, reduced to what a screen shows.

A pure fold: feed it events in order, read its fields. It drops what an earlier attempt did
beyond the point that a later one resumed from.
"""

from dataclasses import dataclass, field
from typing import Any

from runs.events import Event, EventReader
from runs.store import Run


@dataclass
class Snapshot:
    """The state of a run's work after the events applied so far."""

    started: Event | None = None
    progress: Event | None = None
    epochs: list[Event] = field(default_factory=list)
    """``metric`` events of whole epochs."""
    steps: list[Event] = field(default_factory=list)
    """``metric`` events within epochs."""
    kept: list[Event] = field(default_factory=list)
    """``checkpoint`` events."""
    attacks: dict[tuple[str, str], Event] = field(default_factory=dict)
    """(model, attack) to its latest ``attack`` event."""
    children: dict[str, Event] = field(default_factory=dict)
    """Role to its latest ``child`` event."""
    notices: list[Event] = field(default_factory=list)
    """``log`` events: what a person should know, of all attempts."""
    system: Event | None = None
    heartbeat: Event | None = None
    ended: Event | None = None
    last_t: float | None = None

    def apply(self, event: Event) -> None:
        """Take in one event; unknown kinds are skipped."""
        self.last_t = event["t"]
        match event["kind"]:
            case "started":
                self._forget_beyond(event.get("resumed_from"))
                self.started, self.ended, self.progress = event, None, None
            case "progress":
                self.progress = event
            case "metric":
                (self.epochs if event.get("every") == "epoch" else self.steps).append(event)
            case "checkpoint":
                self.kept.append(event)
            case "attack":
                self.attacks[event["model"], event["attack"]] = event
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
    def checkpoints(self) -> dict[str, dict[str, Any]]:
        """Name to epoch, step, monitor and value of what each checkpoint holds."""
        fields = ("epoch", "step", "monitor", "value")
        return {event["name"]: {key: event.get(key) for key in fields} for event in self.kept}

    def _forget_beyond(self, resumed_from: dict[str, Any] | None) -> None:
        step = resumed_from.get("step") if isinstance(resumed_from, dict) else None
        step = step if isinstance(step, int) else -1
        self.epochs = [event for event in self.epochs if event["step"] <= step]
        self.steps = [event for event in self.steps if event["step"] <= step]
        self.kept = [event for event in self.kept if event["step"] <= step]
        self.attacks = {key: event for key, event in self.attacks.items() if "cell" in event}


def read_snapshot(run: Run) -> Snapshot:
    """Where the run stands now."""
    snapshot = Snapshot()
    for event in EventReader(run.events_path).new():
        snapshot.apply(event)
    return snapshot
