"""The events of a run: their kinds and fields, as the type checker and every reader know them.

Each event is ``{"v": 1, "t": <unix seconds>, "kind": …}`` and the fields of its kind. The classes
``…Fields`` are what a writer gives; the classes without that suffix are what a reader gets.
"""

from functools import cache
from typing import Any, Literal, NotRequired, TypedDict

from runs.json_types import INVALID, Parser, parser

VERSION = 1
LATEST = 1e12
"""Unix seconds beyond this are no time."""


class ResumePoint(TypedDict):
    """Where the checkpoint stands that an attempt goes on from."""

    epoch: int
    step: int


class StartedFields(TypedDict, total=False):
    """An attempt has passed its checks and has its device."""

    attempt: int
    resumed_from: ResumePoint | None
    host: str
    pid: int
    device: str
    """``cpu``, ``cuda:0``; absent from a study, whose children have devices."""
    device_name: str
    threads: int
    precision: str
    cuda_visible_devices: str | None
    versions: dict[str, str | None]
    children: list[str]
    """Roles of a study's children."""


class MetricFields(TypedDict):
    """Values of a training at a step, or means of a whole epoch."""

    epoch: int
    step: int
    values: dict[str, float | None]
    every: NotRequired[Literal["step", "epoch"]]
    warm_up: NotRequired[float]
    """Of an epoch: seconds of it in which steps were compiled."""


class ProgressFields(TypedDict):
    """How far a task has come."""

    task: str
    done: float
    total: float
    unit: NotRequired[str]
    rate: NotRequired[float | None]
    """Units per second."""
    epoch: NotRequired[int]
    epochs: NotRequired[int | None]
    eta_s: NotRequired[float | None]
    """Seconds to the end of the training, or of the sanity panel."""


class Counts(TypedDict):
    """Counts of one attack on one model at one ε."""

    correct: int
    successes: int
    robust: int
    seconds: float


class ObservedExtremes(TypedDict):
    """Extremes of what an attack returned at one ε."""

    eps: float
    as_found: bool
    """Whether the model's mode was afterwards as before."""
    largest: float
    """Largest norm of a perturbation."""
    lowest: float
    highest: float


class LevelOutcome(TypedDict):
    """What an attack came to at one ε."""

    eps: float
    tally: Counts
    observed: ObservedExtremes


class AttackOutcome(TypedDict):
    """What an attack on a model came to, at each ε."""

    levels: list[LevelOutcome]


class AttackFields(TypedDict):
    """How far an attack on a model has come; with ``cell`` it has ended."""

    model: str
    attack: str
    """The attack's name, with several ε or stages followed by these: ``pgd-untargeted ε 8/255``."""
    done: float
    total: float
    successes: float
    rate: float
    """Images per second."""
    eta_s: NotRequired[float | None]
    """Seconds to the end of this attack on this model."""
    cell: NotRequired[AttackOutcome]


class CorruptionFields(TypedDict):
    """A model has classified all images of one corruption."""

    model: str
    corruption: str
    n: int
    """Images at each severity."""
    correct: list[int]
    """Of them, those classified correctly at severity 1 to 5."""


class CheckpointFields(TypedDict):
    """A checkpoint now holds this step."""

    name: str
    epoch: int
    step: int
    monitor: NotRequired[str | None]
    value: NotRequired[float | None]
    sha256: NotRequired[str]
    """Of its file, in hexadecimal."""


class Gpu(TypedDict, total=False):
    """Load of one GPU, as NVML reports it."""

    index: int
    name: str
    uuid: str
    memory_used: int
    memory_total: int
    utilisation_percent: float
    temperature_c: float
    power_w: float


class SystemFields(TypedDict, total=False):
    """Load of the worker's host; memory in bytes."""

    cpu_percent: float
    memory_used: int
    memory_total: int
    worker_memory: int
    gpus: list[Gpu]


class HeartbeatFields(TypedDict, total=False):
    """The worker lives."""

    attempt: int
    phase: str
    """``queued`` or ``running``."""
    stalled_s: float
    """Seconds since the last progress."""
    place: int
    """Of a run that waits for its device: its place in the queue; 1 is next."""
    behind: str
    """Id of the run, or of the study, that goes directly before it."""


class ChildFields(TypedDict):
    """A child of a study has another state."""

    run: str
    role: str
    state: str


class LogFields(TypedDict, total=False):
    """A notice for a person."""

    level: str
    """``info``, ``warning`` or ``error``."""
    message: str
    epoch: int
    """Of a training that diverges: its epoch, 0, 1, …, and ``step``, its optimiser step."""
    step: int


class EndedFields(TypedDict, total=False):
    """The attempt has ended."""

    state: str
    seconds: float


class Head(TypedDict):
    """What every event has."""

    v: int
    t: float
    """Unix seconds."""


class StartedEvent(Head, StartedFields):
    kind: Literal["started"]


class MetricEvent(Head, MetricFields):
    kind: Literal["metric"]


class ProgressEvent(Head, ProgressFields):
    kind: Literal["progress"]


class AttackEvent(Head, AttackFields):
    kind: Literal["attack"]


class CorruptionEvent(Head, CorruptionFields):
    kind: Literal["corruption"]


class CheckpointEvent(Head, CheckpointFields):
    kind: Literal["checkpoint"]


class SystemEvent(Head, SystemFields):
    kind: Literal["system"]


class HeartbeatEvent(Head, HeartbeatFields):
    kind: Literal["heartbeat"]


class ChildEvent(Head, ChildFields):
    kind: Literal["child"]


class LogEvent(Head, LogFields):
    kind: Literal["log"]


class EndedEvent(Head, EndedFields):
    kind: Literal["ended"]


Event = (
    StartedEvent
    | MetricEvent
    | ProgressEvent
    | AttackEvent
    | CorruptionEvent
    | CheckpointEvent
    | SystemEvent
    | HeartbeatEvent
    | ChildEvent
    | LogEvent
    | EndedEvent
)

_KINDS: dict[str, Any] = {
    "started": StartedEvent,
    "metric": MetricEvent,
    "progress": ProgressEvent,
    "attack": AttackEvent,
    "corruption": CorruptionEvent,
    "checkpoint": CheckpointEvent,
    "system": SystemEvent,
    "heartbeat": HeartbeatEvent,
    "child": ChildEvent,
    "log": LogEvent,
    "ended": EndedEvent,
}


@cache
def _parser_of(kind: str) -> Parser | None:
    return parser(_KINDS[kind]) if kind in _KINDS else None


def parse_event(value: Any) -> Event | None:
    """A JSON value as an event; None where it is not one.

    An optional field of the wrong type is left out (see :func:`runs.json_types.parser`). An event
    of an unknown kind, from a newer version, is returned as it is: readers skip it.
    """
    if parser(Head)(value) is INVALID or not isinstance(value.get("kind"), str):
        return None
    if abs(value["t"]) > LATEST:
        return None
    parse = _parser_of(value["kind"])
    event = value if parse is None else parse(value)
    return None if event is INVALID else event


def attack_is_over(event: AttackEvent) -> bool:
    """Whether an attack has ended; its part at one ε, or one stage of it, ends without ``cell``."""
    return "cell" in event or event["done"] >= event["total"]
