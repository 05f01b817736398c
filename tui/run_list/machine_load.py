"""The load of the machines that carry out the live runs, over the last minutes. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runs.event_types import SystemEvent
from tui.run_list.row import dicts, number

STEP_S = 15
"""Seconds that one value of a history stands for: a worker reports every ten."""
HISTORY_S = 300
FRESH_S = 30
"""A machine is shown for so long after its last report."""


@dataclass(frozen=True)
class Load:
    """One resource: the shares in use in [0, 1], oldest first, and what is in use of how much."""

    name: str
    shares: Sequence[float | None]
    """A value for each :data:`STEP_S` of the history; None where nothing was reported."""
    used: float | None = None
    """Bytes in use at the last report, of a memory."""
    total: float | None = None

    @property
    def share(self) -> float | None:
        """The last share that is known."""
        return next((share for share in reversed(self.shares) if share is not None), None)


class Gpu(NamedTuple):
    """A GPU: how busy it is, and its memory."""

    number: int
    name: str
    busy: Load
    memory: Load


class Machine(NamedTuple):
    """A host with the load of its processors, its memory and its GPUs."""

    host: str
    cpu: Load
    memory: Load
    gpus: Sequence[Gpu]


class MachineLoads:
    """The reports of the last minutes, by host. Several runs may report of one host."""

    def __init__(self) -> None:
        self._reports: dict[str, deque[SystemEvent]] = {}

    def add(self, host: str, report: SystemEvent) -> None:
        """Add a report of a live run's worker on this host."""
        reports = self._reports.setdefault(host, deque())
        reports.append(report)
        while reports and reports[0]["t"] < report["t"] - HISTORY_S:
            reports.popleft()

    def machines(self, now: float) -> list[Machine]:
        """The machines with a recent report, in the order of their names; ``now``: unix seconds."""
        self._reports = {
            host: reports
            for host, reports in self._reports.items()
            if max(report["t"] for report in reports) >= now - FRESH_S
        }
        return [_machine(host, self._reports[host], now) for host in sorted(self._reports)]


def _machine(host: str, reports: Iterable[SystemEvent], now: float) -> Machine:
    reports = sorted(reports, key=lambda report: report["t"])
    last = reports[-1]
    cpu = [(r["t"], _ratio(r.get("cpu_percent"), 100)) for r in reports]
    memory = [(r["t"], _ratio(r.get("memory_used"), r.get("memory_total"))) for r in reports]
    used, total = number(last.get("memory_used")), number(last.get("memory_total"))
    gpus = []
    for gpu in dicts(last.get("gpus")):
        index = gpu.get("index")
        if isinstance(index, int):
            gpus.append(_gpu(index, str(gpu.get("name")), reports, now))
    return Machine(
        host,
        Load("CPU", _history(cpu, now)),
        Load("memory", _history(memory, now), used, total),
        gpus,
    )


def _gpu(index: int, name: str, reports: Sequence[SystemEvent], now: float) -> Gpu:
    own = [
        (report["t"], gpu)
        for report in reports
        for gpu in dicts(report.get("gpus"))
        if gpu.get("index") == index
    ]
    busy = [(t, _ratio(gpu.get("utilisation_percent"), 100)) for t, gpu in own]
    memory = [(t, _ratio(gpu.get("memory_used"), gpu.get("memory_total"))) for t, gpu in own]
    last = own[-1][1]
    used, total = number(last.get("memory_used")), number(last.get("memory_total"))
    return Gpu(
        index,
        name,
        Load("busy", _history(busy, now)),
        Load("memory", _history(memory, now), used, total),
    )


def _ratio(part: object, whole: object) -> float | None:
    share, of = number(part), number(whole)
    return None if share is None or not of else min(max(share / of, 0.0), 1.0)


def _history(values: Iterable[tuple[float, float | None]], now: float) -> list[float | None]:
    """The mean of the values in each step of the history; a step has the same values at any now."""
    last = int(now // STEP_S)
    steps = HISTORY_S // STEP_S
    sums: dict[int, list[float]] = {}
    for t, value in values:
        if value is not None:
            sums.setdefault(int(t // STEP_S), []).append(value)
    means = [sums.get(step) for step in range(last - steps + 1, last + 1)]
    history = [sum(mean) / len(mean) if mean else None for mean in means]
    while history and history[-1] is None:  # the step at work has no report yet
        history.pop()
    return history
