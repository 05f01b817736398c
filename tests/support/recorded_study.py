"""The events of a study of the preset ``demo``, as its workers wrote them (version 0.2.0).

Without the events that no estimate reads: metrics of single steps, checkpoints, most heartbeats.
Times are in seconds from the first event; the runs are called by their roles.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from runs.snapshot import Snapshot
from runs.spec import StudySpec, parse_spec
from runs.store import Run, Store

RECORDED = Path(__file__).parents[1] / "runs" / "recorded" / "demo-study.jsonl"


@cache
def recorded() -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The study's spec, and all events in their order, each with the role of its run."""
    first, *lines = map(json.loads, RECORDED.read_text().splitlines())
    return first, [(line.pop("of"), {"v": 1, **line}) for line in lines]


def replayed() -> Iterator[tuple[float, str, dict[str, Snapshot]]]:
    """After each event: its time, the role of its run, and the snapshots of all runs."""
    _, events = recorded()
    snapshots = {role: Snapshot() for role in ("study", "baseline", "robust", "attack")}
    for role, event in events:
        snapshots[role].apply(event)
        yield event["t"], role, snapshots


def write_study(store: Store, until: float, now: float) -> dict[str, Run]:
    """The study in a home, as it stood ``until`` seconds after its first event; by roles.

    ``now``: unix seconds of that moment.
    """
    fields, events = recorded()
    spec = parse_spec(fields)
    assert isinstance(spec, StudySpec)
    runs = {"study": store.create(spec)}
    for role, event in events:
        if event["t"] > until:
            break
        if event["kind"] == "child":
            if event["role"] not in runs:
                child = spec.child(event["role"])
                runs[event["role"]] = store.create(
                    child, parent=runs["study"].id, role=event["role"]
                )
            event = {**event, "run": runs[event["role"]].id}
        with runs[role].events_path.open("a") as file:
            file.write(json.dumps({**event, "t": now - until + event["t"]}) + "\n")
    return runs
