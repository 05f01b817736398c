"""How long a run worked and how long it waited, over all its attempts, from its events.

An attempt begins with its first event and ends with ``ended``, else with its last event. A train
or attack run works from ``started`` to the end of the attempt. A study works while one of its
children works, as its ``child`` events report. The rest of an attempt is waiting: for the device,
and for Python to import torch. The time between two attempts counts as neither. Knows no clock.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runs.event_types import Event
from runs.events import event_of, slices
from runs.regular_files import open_regular
from runs.result_types import Result
from runs.store import Run


class Durations(NamedTuple):
    """Seconds over all attempts of a run."""

    worked: float
    waited: float


@dataclass
class Timeline:
    """The attempts of a run so far; feed it events in order with :meth:`apply`."""

    _attempt: int | None = None
    _began: float | None = None
    """Unix seconds of the attempt's first event; None between two attempts."""
    _working_since: float | None = None
    _last: float = 0.0
    _elapsed: float = 0.0
    """Seconds of the attempts that have ended."""
    _worked: float = 0.0
    """Seconds of the stretches of work that have ended."""

    def apply(self, event: Event) -> None:
        """Apply one event; of an unknown kind its time alone counts."""
        t = event["t"]
        match event["kind"]:
            case "started":
                self.reach(t, event.get("attempt"))
                if "children" not in event:
                    self._work(t)
            case "heartbeat":
                self.reach(t, event.get("attempt"))
            case "child":
                self.reach(t)
                if event["state"] == "running":
                    self._work(t)
                else:
                    self._rest(t)
            case "ended":
                self.reach(t)
                self._end(t)
            case _:
                self.reach(t)

    def reach(self, t: float, attempt: int | None = None) -> None:
        """Go on to ``t`` unix seconds, in this attempt; another attempt begins there."""
        if attempt is not None and attempt != self._attempt:
            if self._attempt is not None:
                self._end(self._last)
            self._attempt = attempt
        if self._began is None:
            self._began = t
        self._last = t

    def _work(self, t: float) -> None:
        if self._working_since is None:
            self._working_since = t

    def _rest(self, t: float) -> None:
        if self._working_since is not None:
            self._worked += max(0.0, t - self._working_since)
            self._working_since = None

    def _end(self, t: float) -> None:
        self._rest(t)
        if self._began is not None:
            self._elapsed += max(0.0, t - self._began)
            self._began = None

    def durations(self, now: float | None = None) -> Durations:
        """The seconds up to the last event, or up to ``now`` (unix seconds) of a live run."""
        end = self._last if now is None else max(now, self._last)
        worked, elapsed = self._worked, self._elapsed
        if self._working_since is not None:
            worked += max(0.0, end - self._working_since)
        if self._began is not None:
            elapsed += max(0.0, end - self._began)
        return Durations(worked, max(0.0, elapsed - worked))


_HEAD = re.compile(rb'"t": ?(\d+\.?\d*), ?"kind": ?"(\w+)"(?:, ?"attempt": ?(\d+))?')
_TURN = re.compile(rb'"kind": ?"(?:started|child|ended|heartbeat)"')
"""In the lines that may begin or end a stretch of work or an attempt."""


def read_timeline(path: Path) -> Timeline:
    """The timeline of an ``events.jsonl``; fast also for a long file, most of which it skips."""
    timeline = Timeline()
    for lines in slices(path):
        _reach(timeline, lines[: lines.find(b"\n")])
        for match in _TURN.finditer(lines):
            begin, end = lines.rfind(b"\n", 0, match.start()) + 1, lines.find(b"\n", match.end())
            # The event before may be the last of its attempt.
            _reach(timeline, lines[lines.rfind(b"\n", 0, max(begin - 1, 0)) + 1 : begin])
            _reach(timeline, lines[begin:end])
        _reach(timeline, lines[lines.rfind(b"\n", 0, -1) + 1 :])
    return timeline


def _reach(timeline: Timeline, line: bytes) -> None:
    """Go on to the time of an event, in its line; apply it where it begins or ends something."""
    match = _HEAD.search(line)
    if match is None:
        return
    if match[2] in (b"started", b"child", b"ended"):
        if (event := event_of(line)) is not None:
            timeline.apply(event)
    else:
        timeline.reach(float(match[1]), None if match[3] is None else int(match[3]))


def recorded_durations(result: Result | None) -> Durations | None:
    """The durations in a run's result; None where it has none, or was written by version 0.2."""
    worked = None if result is None else result.get("working_seconds")
    if result is None or worked is None:
        return None
    return Durations(worked, result.get("waiting_seconds", 0.0))


def durations_of(
    run: Run, result: Result | None, timeline: Timeline | None = None, now: float | None = None
) -> Durations:
    """The durations of a run, from its result, else from its events.

    Args:
        run: the run.
        result: of the run; None while it goes on.
        timeline: of its events, where they have been read.
        now: unix seconds, of a live run.
    """
    if (recorded := recorded_durations(result)) is not None:
        return recorded
    seconds = None if result is None else result.get("seconds")
    if result is None or seconds is None:
        return (timeline or read_timeline(run.events_path)).durations(now)
    is_single = result.get("attempt", 1) == 1 and run.kind not in ("study", "sweep")
    if is_single and (waited := _first_wait(run.events_path)) is not None:
        return Durations(max(0.0, seconds - waited), waited)
    counted = (timeline or read_timeline(run.events_path)).durations()
    if is_single or counted.worked == 0:  # the events may lack their end
        return Durations(max(0.0, seconds - counted.waited), counted.waited)
    return counted


_HEAD_BYTES = 4096


def _first_wait(path: Path) -> float | None:
    """Seconds of the first attempt before ``started``; None where it is not near the beginning.

    A list of many older runs reads no more of each.
    """
    try:
        with open_regular(path) as stream:
            found = list(_HEAD.finditer(stream.read(_HEAD_BYTES)))
    except OSError:
        return None
    started = next((float(match[1]) for match in found if match[2] == b"started"), None)
    return None if started is None else max(0.0, started - float(found[0][1]))
