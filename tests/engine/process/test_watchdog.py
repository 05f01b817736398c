"""A run that hangs says so, once for each stall, with the stacks of its threads."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.process import watchdog
from engine.process.watchdog import BEFORE_FIRST, LONGEST_LOOK_S, Watchdog, watchdog_of
from runs.events import EventReader, EventWriter
from runs.presets import preset
from runs.spec import AttackSpec
from runs.store import Store
from tiny_training import tiny

LIMIT_S = 30.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Watched:
    """A watchdog that is looked after every five seconds, and what it told."""

    def __init__(self, events: EventWriter, clock: Clock) -> None:
        self.events, self.told, self._clock = events, [], clock  # type: ignore[var-annotated]
        self.dog = Watchdog(events, LIMIT_S, self.told.append)

    def wait(self, seconds: float, every: float = 5.0) -> None:
        for _ in range(round(seconds / every)):
            self._clock.now += every
            self.dog.look()

    def progress(self) -> None:
        self.events.last_progress += 1.0


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    clock = Clock()
    monkeypatch.setattr(watchdog, "time", clock)
    events = EventWriter(tmp_path / "events.jsonl")
    yield Watched(events, clock)
    events.close()


def test_a_stall_is_told_once_and_the_next_one_again(watched: Watched) -> None:
    watched.progress()
    watched.wait(LIMIT_S)
    assert watched.told == []
    watched.wait(100)
    assert watched.told == ["no progress for 0 minutes"]
    watched.progress()
    watched.wait(LIMIT_S)
    assert len(watched.told) == 1
    watched.wait(100)
    assert len(watched.told) == 2


def test_before_the_first_progress_there_is_time_to_compile(watched: Watched) -> None:
    watched.wait(BEFORE_FIRST * LIMIT_S - 5)
    assert watched.told == []
    watched.wait(5)
    assert watched.told == ["no progress for 2 minutes"]


def test_a_suspended_machine_is_no_stall(watched: Watched) -> None:
    watched.progress()
    watched.wait(5)
    watched.wait(8 * 3600, every=8 * 3600)  # a laptop's lid
    watched.wait(LIMIT_S - 10 - LONGEST_LOOK_S)
    assert watched.told == []


def test_it_writes_where_every_thread_is(
    watched: Watched, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", open(2, "w", closefd=False))  # noqa: SIM115
    release = threading.Event()

    def hangs_here() -> None:
        release.wait(60)

    thread = threading.Thread(target=hangs_here)
    thread.start()
    try:
        time.sleep(0.05)
        watched.wait(BEFORE_FIRST * LIMIT_S)
    finally:
        release.set()
        thread.join()
    told = capfd.readouterr().err
    assert "no progress for 2 minutes; the stacks of all threads:" in told
    assert "hangs_here" in told


@pytest.mark.parametrize("on_stall", ["report", "stop"])
def test_a_run_ends_only_if_it_was_told_to(
    on_stall: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    failures: list[str] = []
    monkeypatch.setattr(watchdog, "time", clock)
    spec = tiny(on_stall=on_stall, stall_minutes=1.0)
    events = EventWriter(tmp_path / "events.jsonl")
    dog = watchdog_of(spec, events, failures.append)  # type: ignore[arg-type]
    assert dog is not None
    for _ in range(60):
        clock.now += 5.0
        dog.look()
    if on_stall == "stop":
        assert failures[0].startswith("no progress for 4 minutes, and on_stall is stop: ")
    else:
        assert not failures
        (notice,) = EventReader(tmp_path / "events.jsonl").new()
        assert notice["kind"] == "log"
        assert notice["level"] == "warning"
        assert notice["message"].startswith("no progress for 4 minutes: worker.log has the stacks")
    events.close()


def test_a_study_has_none(tmp_path: Path) -> None:
    events = EventWriter(tmp_path / "events.jsonl")
    assert watchdog_of(preset("demo"), events, pytest.fail) is None
    assert watchdog_of(AttackSpec(), events, pytest.fail) is not None
    assert Store(tmp_path).runs() == []
    events.close()
