"""Events of many megabytes: read in slices, and in no more memory than what is asked for."""

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runs.durations import Timeline, read_timeline
from runs.events import EventReader, EventWriter, events_like, last_attempt, last_event_like, slices
from runs.snapshot import read_snapshot
from runs.store import Run, Store
from tiny_training import tiny
from tui.run_list.summary import summary

MEGABYTES = 16
"""Of the long file."""
ALLOWED = 6_000_000
"""Bytes that a reader of it may hold at once."""


def line(kind: str, t: float = 1.0, **fields: object) -> bytes:
    return json.dumps({"v": 1, "t": t, "kind": kind, **fields}).encode() + b"\n"


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose worker was killed after many steps."""
    run = Store(tmp_path_factory.mktemp("long")).create(tiny())
    values = {"train_loss": 2.5, "train_accuracy": 0.125}
    step = line("metric", epoch=0, step=7, every="step", values=values)
    with run.events_path.open("wb") as stream:
        stream.write(line("started", attempt=1, resumed_from=None))
        stream.write(line("metric", epoch=0, step=8, every="epoch", values={"val_accuracy": 0.5}))
        stream.write(step * (MEGABYTES * 1_000_000 // len(step)))
        stream.write(line("heartbeat", attempt=1))
    return run


READERS: dict[str, Callable[[Run], object]] = {
    "advtui runs": summary,
    "advtui show, advtui logs, the result": read_snapshot,
    "the number of an attempt": lambda run: last_attempt(run.events_path),
    "the time it worked": lambda run: read_timeline(run.events_path),
    "a study that waits for its child": lambda run: run.was_started,
    "advtui watch": lambda run: sum(1 for _ in EventReader(run.events_path).all_new()),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_no_reader_holds_a_long_file_in_memory(
    reader: Callable[[Run], object], long_run: Run
) -> None:
    tracemalloc.start()
    try:
        reader(long_run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ALLOWED


def test_what_is_read_of_a_long_file_is_all_that_lasts(long_run: Run) -> None:
    snapshot = read_snapshot(long_run)
    assert snapshot.started is not None
    assert [event["values"] for event in snapshot.epochs] == [{"val_accuracy": 0.5}]
    assert snapshot.steps == []
    assert last_attempt(long_run.events_path) == 1
    assert long_run.was_started


@pytest.mark.parametrize("size", [1, 7, 60, 10_000])
def test_slices_are_whole_lines_whatever_their_size(size: int, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = line("log", message="x" * 100) + line("started") + line("ended")
    path.write_bytes(whole + b'{"v": 1, "t"')
    parts = list(slices(path, size))
    assert b"".join(parts) == whole
    assert all(part.endswith(b"\n") for part in parts)


def test_a_line_that_matches_twice_is_one_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("log", message="a log") + line("log", message="log") + b"log")
    found: list[Any] = list(events_like(path, re.compile(b"log")))
    assert [event["message"] for event in found] == ["a log", "log"]


@pytest.mark.parametrize("size", [16, 100, 1_000_000])
def test_the_last_marked_event_is_found_from_the_end(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.events.SLICE_BYTES", size)
    path = tmp_path / "events.jsonl"
    others = line("heartbeat", attempt=1) * 20
    torn = line("started", attempt=4)[:-1]
    path.write_bytes(
        line("started", attempt=1) + others + line("started", attempt=2) + others + torn
    )
    found: Any = last_event_like(path, b'"started"')
    assert found["attempt"] == 2
    assert last_event_like(path, b'"system"') is None
    assert last_event_like(tmp_path / "absent", b'"system"') is None


@pytest.mark.parametrize("size", [1, 90, 1_000_000])
def test_the_time_of_work_is_that_of_all_events(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.durations.slices", partial(slices, size=size))

    def told() -> Iterator[bytes]:
        for attempt in (1, 2, 3):
            t = 100.0 * attempt
            yield line("heartbeat", t, attempt=attempt)
            yield line("log", t + 3)
            yield line("started", t + 5, attempt=attempt)
            yield from (line("progress", t + n, task="train", done=n, total=9) for n in (6, 8, 20))
            if attempt == 2:
                yield line("ended", t + 30, state="interrupted")

    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(told()))
    expected = Timeline()
    for event in EventReader(path).new():
        expected.apply(event)
    assert read_timeline(path).durations() == expected.durations()
    assert expected.durations().worked == 15 + 25 + 15


def test_a_writer_goes_on_behind_a_long_file(long_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(long_run.events_path.read_bytes()[:-5])
    events = EventWriter(path)
    events.write("ended", state="failed")
    events.close()
    assert last_event_like(path, b'"ended"') is not None
