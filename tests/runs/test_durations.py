"""Working and waiting time of a run, over all its attempts."""

import json
from pathlib import Path
from typing import Any

import pytest

from recorded_study import recorded
from runs.durations import Durations, Timeline, durations_of, read_timeline
from runs.spec import TrainSpec
from runs.store import Run, Store


def beat(t: float, attempt: int = 1) -> Any:
    return {"v": 1, "t": t, "kind": "heartbeat", "attempt": attempt, "phase": "queued"}


def started(t: float, attempt: int = 1, **fields: Any) -> Any:
    return {"v": 1, "t": t, "kind": "started", "attempt": attempt, "resumed_from": None, **fields}


def progress(t: float) -> Any:
    return {"v": 1, "t": t, "kind": "progress", "task": "train", "done": 1, "total": 9}


def ended(t: float, state: str = "completed") -> Any:
    return {"v": 1, "t": t, "kind": "ended", "state": state}


def child(t: float, role: str, state: str) -> Any:
    return {"v": 1, "t": t, "kind": "child", "run": role, "role": role, "state": state}


ONCE = [beat(0), beat(5), started(100), progress(130), ended(140)]
RESUMED = [*ONCE[:-1], ended(140, "interrupted"), beat(5000, 2), started(5020, 2), ended(5050)]
KILLED = [*ONCE[:-1], beat(5000, 2), started(5020, 2), progress(5030)]
STUDY = [
    beat(0),
    child(0, "baseline", "queued"),
    started(10, children=["baseline", "robust"]),
    child(10, "baseline", "running"),
    child(50, "baseline", "completed"),
    child(51, "robust", "queued"),
    child(351, "robust", "running"),
    child(381, "robust", "completed"),
    ended(382),
]
REUSED = [
    beat(0),
    child(0, "baseline", "completed"),
    child(1, "robust", "queued"),
    started(9, children=["baseline", "robust"]),
    child(9, "robust", "running"),
    child(29, "robust", "completed"),
    ended(30),
]


def timeline(events: list[Any]) -> Timeline:
    found = Timeline()
    for event in events:
        found.apply(event)
    return found


@pytest.mark.parametrize(
    ("events", "worked", "waited"),
    [
        ([], 0, 0),
        ([beat(0), beat(5)], 0, 5),
        (ONCE, 40, 100),
        (RESUMED, 40 + 30, 100 + 20),
        (KILLED, 30 + 10, 100 + 20),
        ([beat(0), ended(9, "interrupted")], 0, 9),
        (STUDY, 40 + 30, 382 - 70),
        (REUSED, 20, 10),
        ([*ONCE, {"v": 1, "t": 150.0, "kind": "from-the-future"}], 40, 100),
    ],
    ids=["none", "queued", "once", "resumed", "killed", "refused", "study", "reused", "future"],
)
def test_work_is_told_from_waiting(events: list[Any], worked: float, waited: float) -> None:
    assert timeline(events).durations() == (worked, waited)


def test_a_live_run_counts_up_to_now() -> None:
    assert timeline(ONCE[:-1]).durations(now=160) == (60, 100)
    assert timeline(ONCE[:2]).durations(now=60) == (0, 60)
    assert timeline(ONCE).durations(now=1000) == (40, 100)


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    assert timeline([beat(100), started(90), ended(80)]).durations() == (0, 0)


def write(run: Run, events: list[Any], result: dict[str, Any] | None = None) -> Run:
    run.events_path.write_text("".join(json.dumps(event) + "\n" for event in events))
    if result is not None:
        (run.path / "result.json").write_text(json.dumps({"state": "completed", **result}))
    return run


@pytest.mark.parametrize("events", [[], ONCE, RESUMED, KILLED, STUDY, REUSED])
def test_a_file_is_read_as_its_events(events: list[Any], store: Store) -> None:
    run = write(store.create(TrainSpec()), events)
    assert read_timeline(run.events_path).durations() == timeline(events).durations()


@pytest.mark.parametrize("role", ["study", "baseline", "robust", "attack"])
def test_a_recorded_run_is_read_as_its_events(role: str, store: Store) -> None:
    events = [event for of, event in recorded()[1] if of == role]
    run = write(store.create(TrainSpec()), events)
    with run.events_path.open("a") as file:
        file.write('{"v": 1, "t": 99')  # a torn line
    assert read_timeline(run.events_path).durations() == timeline(events).durations()


def test_a_study_works_as_long_as_its_children() -> None:
    def worked(role: str) -> float:
        return timeline([e for of, e in recorded()[1] if of == role]).durations().worked

    children = sum(worked(role) for role in ("baseline", "robust", "attack"))
    assert worked("study") == pytest.approx(children, abs=1.5)  # it checks five times a second


def test_the_result_says_it_where_it_does(store: Store) -> None:
    run = write(store.create(TrainSpec()), ONCE, {"working_seconds": 7.0, "waiting_seconds": 3.0})
    assert durations_of(run, run.result) == Durations(7.0, 3.0)


@pytest.mark.parametrize(
    ("events", "result", "expected"),
    [
        (ONCE, {"attempt": 1, "seconds": 140.0}, (40, 100)),
        (ONCE[:-2], {"attempt": 1, "seconds": 140.0}, (40, 100)),  # without its end
        (RESUMED, {"attempt": 2, "seconds": 50.0}, (70, 120)),
        ([], {"seconds": 50.0}, (50, 0)),
        ([], {}, (0, 0)),
    ],
)
def test_an_older_result_is_completed_by_the_events(
    events: list[Any], result: dict[str, Any], expected: tuple[float, float], store: Store
) -> None:
    run = write(store.create(TrainSpec()), events, result)
    assert durations_of(run, run.result) == expected


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_timeline(tmp_path / "events.jsonl").durations() == (0, 0)
