"""The times of a run in the list, the preview and ``advtui show``: work, and waiting apart."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from recorded_study import write_study
from runs.events import EventReader
from runs.snapshot import Snapshot
from runs.spec import TrainSpec
from runs.store import Run, Store
from tui.commands.show_run import print_run
from tui.render.text import time_words
from tui.run_list import row as row_module
from tui.run_list.row import read_row
from tui.run_list.summary import summary


def attempt(number: int, t: float, wait: float, work: float, state: str | None) -> list[Any]:
    events = [
        {"t": t, "kind": "heartbeat", "attempt": number, "phase": "queued"},
        {"t": t + wait, "kind": "started", "attempt": number, "resumed_from": None},
        {"t": t + wait + work, "kind": "heartbeat", "attempt": number, "phase": "running"},
    ]
    return [*events, {"t": t + wait + work, "kind": "ended", "state": state}] if state else events


def snapshot_of(run: Run) -> Snapshot:
    """As the screen has it: of all events."""
    snapshot = Snapshot()
    for event in EventReader(run.events_path).new():
        snapshot.apply(event)
    return snapshot


def written(store: Store, events: list[Any], result: dict[str, Any] | None = None) -> Run:
    run = store.create(TrainSpec())
    lines = (json.dumps({"v": 1, **event}) for event in events)
    run.events_path.write_text("".join(f"{line}\n" for line in lines))
    if result is not None:
        (run.path / "result.json").write_text(json.dumps(result))
    return run


@pytest.fixture
def resumed(store: Store) -> Run:
    """It waited for 300 s and worked for 40 s, was interrupted, and worked for 20 s more."""
    events = [*attempt(1, 1000, 300, 40, "interrupted"), *attempt(2, 9000, 5, 20, "completed")]
    return written(store, events, {"state": "completed", "attempt": 2, "seconds": 25.0})


def test_a_row_counts_the_work_of_all_attempts_and_no_wait(resumed: Run) -> None:
    row = read_row(resumed)
    assert (row.seconds, row.waited) == (60, 305)


def test_every_place_says_the_same(resumed: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shown = summary(resumed)
    assert (shown["working_seconds"], shown["waiting_seconds"]) == (60, 305)
    print_run(Store(resumed.home), resumed)
    out = capsys.readouterr().out
    assert "took  1 m 00 s" in out
    assert "waited  5 m 05 s" in out


@pytest.mark.parametrize("is_read", [True, False])
def test_a_live_run_counts_its_work_up_to_now(store: Store, is_read: bool) -> None:
    now = time.time()
    run = written(store, attempt(1, now - 400, 300, 90, None))
    snapshot = snapshot_of(run) if is_read else None
    row = read_row(run, snapshot, now)
    assert row.state == "running"
    assert row.seconds == pytest.approx(100)
    assert row.waited == pytest.approx(300)


def test_a_queued_run_has_only_waited(store: Store) -> None:
    now = time.time()
    run = written(store, attempt(1, now - 20, 1, 1, None)[:1])
    row = read_row(run, None, now)
    assert (row.state, row.seconds) == ("queued", None)
    assert row.waited == pytest.approx(20)


def test_a_run_without_events_has_a_row(store: Store) -> None:
    row = read_row(store.create(TrainSpec()))
    assert (row.error, row.seconds, row.waited) == ("", None, None)


def test_many_events_of_a_live_run_are_not_read_for_a_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_module, "LARGE", 100)
    now = time.time()
    run = written(store, attempt(1, now - 400, 300, 90, None))
    assert read_row(run, None, now).seconds is None
    assert read_row(run, snapshot_of(run), now).seconds == pytest.approx(100)


def test_a_study_took_the_work_of_its_children(tmp_path: Path) -> None:
    now = time.time()
    runs = write_study(Store(tmp_path), 1000, now)
    rows = {role: read_row(run, snapshot_of(run), now) for role, run in runs.items()}
    worked = [rows[role].seconds or 0 for role in ("baseline", "robust", "attack")]
    assert rows["study"].seconds == pytest.approx(sum(worked), abs=1.5)


@pytest.mark.parametrize(
    ("worked", "waited", "is_live", "words"),
    [
        (36, 3, False, "took 36 s, waited 3 s"),
        (36, 0.4, False, "took 36 s"),
        (36, None, True, "working for 36 s"),
        (36, 3, True, "working for 36 s, waited 3 s"),
        (None, 3, True, "waiting for 3 s"),
        (None, 3, False, "waited 3 s"),
        (None, None, True, ""),
    ],
)
def test_the_words(worked: float | None, waited: float | None, is_live: bool, words: str) -> None:
    assert time_words(worked, waited, is_live=is_live) == words
