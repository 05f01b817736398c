"""Events: whole lines whatever happens to the writer, and readers that lose none."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runs
from runs.events import EventReader, EventWriter, last_events, warnings_of

DEADLINE_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def line(kind: str = "log", **fields: object) -> bytes:
    if kind == "metric":
        fields = {"epoch": 0, "step": 0, "values": {}, **fields}
    return json.dumps({"v": 1, "t": 1.0, "kind": kind, **fields}).encode() + b"\n"


def loose_writer(path: Path) -> Any:
    """A writer that takes kinds and fields that the types do not know."""
    return EventWriter(path)


def values(events: Sequence[Any], field: str) -> list[Any]:
    """A field of each event, whatever its kind."""
    return [event[field] for event in events]


def kinds(events: Sequence[Any]) -> list[object]:
    return [event["kind"] for event in events]


# Writing


def test_an_event_is_one_line_with_version_time_and_kind(path: Path) -> None:
    before = time.time()
    writer = loose_writer(path)
    returned = writer.write("metric", epoch=1, values={"loss": 0.5})
    writer.close()

    written = path.read_bytes()

    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")
    event = json.loads(written)
    assert event == returned
    assert (event["v"], event["kind"], event["epoch"]) == (1, "metric", 1)
    assert before - 0.001 <= event["t"] <= time.time() + 0.001


def test_what_json_has_no_word_for_becomes_null(path: Path) -> None:
    writer = loose_writer(path)
    writer.write("metric", values={"a": math.nan, "b": [math.inf, 1.5]}, c=-math.inf)
    writer.close()

    event = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))

    assert (event["values"], event["c"]) == ({"a": None, "b": [None, 1.5]}, None)


def test_newlines_in_a_message_do_not_end_the_line(path: Path) -> None:
    message = "one\ntwo\r\nthree\u2028four\x85five\x1b[0m"
    writer = EventWriter(path)
    writer.write("log", message=message)
    writer.close()

    [event] = EventReader(path).new()

    assert event["kind"] == "log"
    assert event["message"] == message


def test_a_writer_appends_to_what_is_there(path: Path) -> None:
    for number in range(2):
        writer = EventWriter(path)
        writer.write("started", attempt=number)
        writer.close()

    assert values(EventReader(path).new(), "attempt") == [0, 1]


def test_a_torn_line_is_ended_on_reopening(path: Path) -> None:
    path.write_bytes(line("started") + line("metric")[:17])

    writer = EventWriter(path)
    writer.write("ended", state="completed")
    writer.close()

    assert kinds(EventReader(path).new()) == ["started", "ended"]
    assert path.read_bytes().count(b"\n") == 3


def test_whole_lines_are_left_alone_on_reopening(path: Path) -> None:
    path.write_bytes(line())

    EventWriter(path).close()

    assert path.read_bytes() == line()


@pytest.mark.parametrize("kind", ["started", "checkpoint", "child", "ended"])
def test_life_cycle_events_are_flushed_to_the_disk(
    path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    writer = loose_writer(path)

    writer.write("metric")
    assert not flushed
    writer.write(kind)
    assert len(flushed) == 1


def test_only_work_counts_as_progress(path: Path) -> None:
    writer = loose_writer(path)
    writer.last_progress = 0.0
    for kind in ("heartbeat", "system", "log"):
        writer.write(kind)
    assert writer.last_progress == 0.0

    writer.write("metric")

    assert writer.last_progress > 0
    writer.close()


# Reading


def test_each_call_returns_what_came_since(path: Path) -> None:
    reader = EventReader(path)
    assert reader.new() == []  # no file yet

    path.write_bytes(line("started"))
    assert kinds(reader.new()) == ["started"]
    assert reader.new() == []

    with path.open("ab") as stream:
        stream.write(line("metric") + line("ended"))
    assert kinds(reader.new()) == ["metric", "ended"]


def test_an_unfinished_last_line_is_held_back_and_then_delivered(path: Path) -> None:
    whole = line("log", message="ε = 8/255")
    reader = EventReader(path)
    for cut in range(1, len(whole)):
        path.write_bytes(line("started") + whole[:cut])
        assert kinds(last_events(path)) == ["started"]
    assert kinds(reader.new()) == ["started"]
    assert reader.new() == []

    with path.open("ab") as stream:
        stream.write(whole[cut:])

    assert values(reader.new(), "message") == ["ε = 8/255"]


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"not json",
        b"null",
        b"[1, 2]",
        b'"text"',
        b"{}",
        b'{"kind": "log"}',
        b'{"t": 1.0}',
        b'{"v": 1, "t": "now", "kind": "log"}',
        b'{"v": 1, "t": 1.0, "kind": 3}',
        b'{"v": 1, "t": 1.0, "kind": "log"',
        b"\xff\xfe\x00",
        b"\x00" * 64,
    ],
)
def test_a_foreign_line_is_skipped(path: Path, foreign: bytes) -> None:
    path.write_bytes(line("started") + foreign + b"\n" + line("ended"))

    assert kinds(EventReader(path).new()) == ["started", "ended"]
    assert kinds(last_events(path)) == ["started", "ended"]


def test_a_line_without_a_version_is_skipped(path: Path) -> None:
    path.write_bytes(b'{"t": 1.0, "kind": "log"}\n' + line("ended"))

    assert kinds(EventReader(path).new()) == ["ended"]


def test_a_kind_that_nobody_knows_is_delivered_for_others_to_skip(path: Path) -> None:
    path.write_bytes(line("from-the-future"))

    assert kinds(EventReader(path).new()) == ["from-the-future"]


def test_a_file_that_became_shorter_is_read_from_its_beginning(path: Path) -> None:
    path.write_bytes(line("metric") * 5)
    reader = EventReader(path)
    reader.new()

    path.write_bytes(line("started"))

    assert kinds(reader.new()) == ["started"]
    assert reader.new() == []


def test_a_file_that_vanishes_and_comes_back_is_read_from_its_beginning(path: Path) -> None:
    path.write_bytes(line("metric") * 5)
    reader = EventReader(path)
    reader.new()

    path.unlink()
    assert reader.new() == []
    path.write_bytes(line("started"))

    assert kinds(reader.new()) == ["started"]


@given(st.lists(st.integers(0, 400), max_size=20))
def test_however_the_bytes_arrive_every_event_comes_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "events.jsonl"
    everything = b"".join(line("metric", epoch=number) for number in range(8))
    reader = EventReader(path)
    found: list[Any] = []
    ends = sorted({min(cut, len(everything)) for cut in cuts} | {len(everything)})
    for start, end in zip([0, *ends], ends, strict=False):
        with path.open("ab") as stream:
            stream.write(everything[start:end])
        found += values(reader.new(), "epoch")

    assert found == list(range(8))


# The tail


def test_the_tail_holds_the_last_events_oldest_first(path: Path) -> None:
    path.write_bytes(b"".join(line("metric", epoch=number) for number in range(1000)))

    found = values(last_events(path, tail_bytes=500), "epoch")

    assert found == list(range(1000 - len(found), 1000))
    assert 5 <= len(found) <= 10  # only what those bytes hold, without the line they cut


def test_the_tail_of_a_short_file_is_all_of_it(path: Path) -> None:
    path.write_bytes(line("started") + line("ended"))

    assert kinds(last_events(path)) == ["started", "ended"]
    assert kinds(last_events(path, tail_bytes=path.stat().st_size)) == ["started", "ended"]


def test_the_tail_of_no_file_is_empty(path: Path) -> None:
    assert last_events(path) == []


def test_the_tail_finds_the_last_event_however_long_it_is(path: Path) -> None:
    path.write_bytes(line("started") + line("log", message="x" * 40_000))

    assert kinds(last_events(path))[-1:] == ["log"]


# One writer, many threads and readers


def test_a_reader_beside_a_writing_thread_sees_no_gap(path: Path) -> None:
    total = 3_000
    writer, reader = loose_writer(path), EventReader(path)

    def write() -> None:
        for number in range(total):
            writer.write("log", step=number, text="ε" * (number % 200))

    thread = threading.Thread(target=write)
    thread.start()
    steps: list[int] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(steps) < total and time.monotonic() < deadline:
        steps += values(reader.new(), "step")
    thread.join()
    writer.close()

    assert steps == list(range(total))


def test_threads_that_share_a_writer_tear_no_line(path: Path) -> None:
    writer = loose_writer(path)

    def write(name: int) -> None:
        for number in range(300):
            writer.write("log", thread=name, step=number, text="x" * 300)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    events: Sequence[Any] = EventReader(path).new()

    assert path.read_bytes().count(b"\n") == len(events) == 1200
    for name in range(4):
        assert [e["step"] for e in events if e["thread"] == name] == list(range(300))


def test_a_killed_writer_leaves_a_file_that_reads_and_goes_on(path: Path) -> None:
    endless = (
        "import sys; from pathlib import Path; from runs.events import EventWriter\n"
        "writer = EventWriter(Path(sys.argv[1]))\n"
        "for step in range(10**9): writer.write('log', step=step, text='x' * 500)\n"
    )
    ours = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", endless, str(path)], env=ours)
    try:
        reader = EventReader(path)
        steps: list[Any] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(steps) < 200 and time.monotonic() < deadline:
            assert process.poll() is None
            steps += values(reader.new(), "step")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    steps += values(reader.new(), "step")

    writer = EventWriter(path)
    writer.write("started", attempt=2)
    writer.close()

    assert len(steps) >= 200
    assert steps == list(range(len(steps)))
    assert kinds(reader.new()) == ["started"]
    assert len(EventReader(path).new()) == len(steps) + 1


# Warnings


def test_the_warnings_of_a_run_are_those_of_all_attempts_each_once(path: Path) -> None:
    assert warnings_of(path) == []
    writer = EventWriter(path)
    for level, message in (
        ("info", "queued"),
        ("warning", "loss is 4e+08"),
        ("error", "failed"),
        ("warning", "out of memory"),
        ("warning", "loss is 4e+08"),
    ):
        writer.write("log", level=level, message=message)
    writer.write("log", level="info", message='says "level": "warning"')
    writer.close()
    assert warnings_of(path) == ["loss is 4e+08", "out of memory"]


# Where the file is


def test_a_writer_knows_whether_its_file_is_still_in_place(path: Path) -> None:
    writer = EventWriter(path)
    assert writer.is_in_place()
    moved = path.with_name("moved.jsonl")
    path.rename(moved)
    assert not writer.is_in_place()
    path.touch()  # another file under its name
    assert not writer.is_in_place()
    moved.replace(path)
    assert writer.is_in_place()
    path.unlink()
    assert not writer.is_in_place()
    writer.close()
