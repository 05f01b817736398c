"""The events of an attack's progress: how long it has left, by the steps that are done."""

from pathlib import Path

import pytest

from engine.evaluation.attack_progress import AttackAtEps
from runs.attacks import named_attack
from runs.event_types import AttackEvent
from runs.events import EventReader, EventWriter
from runs.threat_model import PGD


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("engine.evaluation.attack_progress.time.monotonic", found)
    return found


def events(path: Path) -> list[AttackEvent]:
    return [event for event in EventReader(path).new() if event["kind"] == "attack"]


def level(path: Path, name: str = "pgd-untargeted", **pgd: int) -> AttackAtEps:
    attack = named_attack(name, PGD(**{"steps": 9, **pgd}))
    return AttackAtEps(attack, name, 100, "M", EventWriter(path))


def test_what_withstands_does_not_make_the_last_batch_endless(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "events.jsonl"
    attack = level(path)
    for step in range(10):
        clock.now += 1
        attack.step(0, step, batch=100, still_attacked=99)  # one image is fooled
    left = [event["eta_s"] for event in events(path)]
    assert left[0] is None  # nothing is done yet
    assert left[1:] == pytest.approx(
        [(step + 1) * (10 - step) / step for step in range(1, 10)], abs=0.06
    )


def test_restarts_and_batches_count(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "events.jsonl"
    attack = level(path, restarts=2)
    clock.now += 30
    attack.count(images=50, successes=0, robust=50, seconds=30)
    clock.now += 15
    attack.step(1, 0, batch=50, still_attacked=50)  # the second of two restarts begins
    assert [event["eta_s"] for event in events(path)] == [30.0, 15.0]


def test_towards_all_classes_only_batches_count(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "events.jsonl"
    attack = level(path, "apgd-targeted")
    clock.now += 5
    attack.step(0, 8, batch=100, still_attacked=100)  # of the first of nine classes
    assert events(path)[0]["eta_s"] is None
