"""Which files of a run can't be read, in words for a person: ``events line 17``, ``spec.json``."""

import os
from collections.abc import Iterator
from itertools import islice

from runs.events import event_of, slices
from runs.jsonfiles import read_json
from runs.store import PLACE_FILE, Run

NAMED_LINES = 3
"""Damaged lines of events that are named one by one."""


def unreadable_at_once(run: Run, *, has_result: bool) -> list[str]:
    """Those that a list of many runs notices; ``has_result``: result.json could be read."""
    found = [] if run.raw_spec else ["spec.json"]
    if not has_result and os.path.lexists(run.path / "result.json"):
        found.append("result.json")
    return found


def unreadable(run: Run) -> list[str]:
    """All of them; reads every line of the events."""
    found = unreadable_at_once(run, has_result=run.result is not None)
    for name in ("meta.json", "launch.json", PLACE_FILE):
        if os.path.lexists(run.path / name) and read_json(run.path / name) is None:
            found.append(name)
    if run.events_path.is_file():
        lines = _damaged_lines(run)
        found += [f"events line {number}" for number in islice(lines, NAMED_LINES)]
        if more := sum(1 for _ in lines):
            found.append(f"{more} more lines of the events")
    elif os.path.lexists(run.events_path):
        found.append("events.jsonl")
    return found


def words(found: list[str]) -> list[str]:
    """As a warning: ``unreadable: spec.json, events line 17``; none where all can be read."""
    return [f"unreadable: {', '.join(found)}"] if found else []


def _damaged_lines(run: Run) -> Iterator[int]:
    """The numbers, from 1, of whole lines that are no events."""
    number = 0
    for chunk in slices(run.events_path):
        for line in chunk.split(b"\n")[:-1]:
            number += 1
            if event_of(line) is None and line.strip():
                yield number
