"""Events folded to where a run stands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runs.events import EventWriter
from runs.snapshot import Snapshot, read_snapshot
from runs.spec import TrainSpec
from runs.store import Store


def fold(*events: Any) -> Snapshot:
    snapshot = Snapshot()
    for t, event in enumerate(events):
        timed: Any = {"v": 1, "t": float(t), **event}
        snapshot.apply(timed)
    return snapshot


def started(attempt: int = 1, step: int | None = None) -> Any:
    resumed_from = None if step is None else {"epoch": 0, "step": step}
    return {"kind": "started", "attempt": attempt, "resumed_from": resumed_from}


def metric(step: int, every: str = "epoch", loss: float = 1.0) -> Any:
    return {"kind": "metric", "epoch": 0, "step": step, "every": every, "values": {"loss": loss}}


def checkpoint(name: str, step: int) -> Any:
    return {
        "kind": "checkpoint",
        "name": name,
        "epoch": 0,
        "step": step,
        "monitor": "m",
        "value": 1,
    }


def attack(model: str, done: int, **more: Any) -> Any:
    return {"kind": "attack", "model": model, "attack": "pgd", "done": done, **more}


def steps(events: Sequence[Any]) -> list[int]:
    return [event["step"] for event in events]


def test_what_was_told_is_kept_over_all_attempts() -> None:
    told = {"kind": "log", "level": "warning", "message": "out of memory"}
    snapshot = fold(started(), told, started(2, 10), {**told, "message": "again"})

    assert [event["message"] for event in snapshot.notices] == ["out of memory", "again"]


def test_metrics_of_epochs_and_of_steps_are_kept_apart_in_order() -> None:
    snapshot = fold(started(), metric(1, "step"), metric(2, "step"), metric(2), metric(4))

    assert steps(snapshot.steps) == [1, 2]
    assert steps(snapshot.epochs) == [2, 4]


@pytest.mark.parametrize(
    ("resumed_from", "epochs", "within"),
    [
        (20, [10, 20], [5, 15]),
        (24, [10, 20], [5, 15]),
        (10, [10], [5]),
        (9, [], [5]),
        (None, [], []),
    ],
)
def test_metrics_beyond_the_point_of_resuming_are_dropped(
    resumed_from: int | None, epochs: list[int], within: list[int]
) -> None:
    snapshot = fold(
        started(),
        metric(5, "step"),
        metric(10),
        metric(15, "step"),
        metric(20),
        metric(25, "step"),
        metric(30),
        started(2, resumed_from),
    )

    assert steps(snapshot.epochs) == epochs
    assert steps(snapshot.steps) == within


def test_the_new_attempts_metrics_take_the_place_of_those_dropped() -> None:
    snapshot = fold(
        started(), metric(10), metric(20, loss=1), started(2, 10), metric(20, loss=2), metric(30)
    )

    assert steps(snapshot.epochs) == [10, 20, 30]
    assert snapshot.epochs[1]["values"] == {"loss": 2}


def test_each_of_several_attempts_drops_what_it_repeats() -> None:
    snapshot = fold(
        started(),
        metric(10),
        metric(20),
        metric(30),
        started(2, 20),
        metric(30, loss=2),
        started(3, 20),
        metric(30, loss=3),
    )

    assert steps(snapshot.epochs) == [10, 20, 30]
    assert snapshot.epochs[-1]["values"] == {"loss": 3}


def test_checkpoints_hold_their_latest_and_lose_those_beyond_the_point_of_resuming() -> None:
    before = [started(), checkpoint("best_clean", 10), checkpoint("last", 10)]
    beyond = [checkpoint("best_robust", 20), checkpoint("last", 20)]

    assert fold(*before, *beyond).checkpoints["last"]["step"] == 20
    assert set(fold(*before, *beyond, started(2, 20)).checkpoints) == {
        "best_clean",
        "best_robust",
        "last",
    }
    snapshot = fold(*before, checkpoint("best_robust", 20), started(2, 10))
    assert snapshot.checkpoints == {
        name: {"epoch": 0, "step": 10, "monitor": "m", "value": 1}
        for name in ("best_clean", "last")
    }


def test_a_checkpoint_replaced_beyond_the_point_of_resuming_is_the_earlier_one_again() -> None:
    snapshot = fold(
        started(), checkpoint("best_clean", 10), checkpoint("best_clean", 20), started(2, 10)
    )

    assert snapshot.checkpoints["best_clean"]["step"] == 10


def test_attacks_hold_their_latest_by_model_and_attack() -> None:
    snapshot = fold(attack("A", 10), attack("B", 5), attack("A", 20))

    assert {key: event["done"] for key, event in snapshot.attacks.items()} == {
        ("A", "pgd"): 20,
        ("B", "pgd"): 5,
    }


def test_a_new_attempt_keeps_the_attacks_that_were_finished() -> None:
    snapshot = fold(started(), attack("A", 100, cell={}), attack("B", 50), started(2))

    assert list(snapshot.attacks) == [("A", "pgd")]


def test_a_new_attempt_has_neither_ended_nor_progressed() -> None:
    ended = {"kind": "ended", "state": "interrupted"}
    snapshot = fold(started(), {"kind": "progress", "done": 3}, ended)
    assert snapshot.ended is not None
    assert snapshot.progress is not None

    again: Any = {"v": 1, "t": 9.0, **started(2, 0)}
    snapshot.apply(again)

    assert snapshot.ended is None
    assert snapshot.progress is None
    assert snapshot.started is not None
    assert snapshot.started["attempt"] == 2


@pytest.mark.parametrize("kind", ["progress", "system", "heartbeat", "ended", "started"])
def test_of_the_others_the_latest_is_kept(kind: str) -> None:
    snapshot = fold({"kind": kind, "number": 1}, {"kind": kind, "number": 2})

    assert getattr(snapshot, kind)["number"] == 2


def test_children_hold_their_latest_by_role() -> None:
    snapshot = fold(
        {"kind": "child", "role": "baseline", "run": "A", "state": "running"},
        {"kind": "child", "role": "robust", "run": "B", "state": "queued"},
        {"kind": "child", "role": "baseline", "run": "A", "state": "completed"},
    )

    assert {role: event["state"] for role, event in snapshot.children.items()} == {
        "baseline": "completed",
        "robust": "queued",
    }


def test_unknown_kinds_are_skipped() -> None:
    known = [started(), metric(1)]
    snapshot, expected = fold(*known, {"kind": "from-the-future", "step": 5}), fold(*known)

    assert snapshot.last_t == 2.0
    expected.last_t = 2.0
    assert snapshot == expected


def test_a_run_without_events_stands_nowhere(tmp_path: Path) -> None:
    assert read_snapshot(Store(tmp_path).create(TrainSpec())) == Snapshot()


def test_a_runs_events_are_read_and_folded(tmp_path: Path) -> None:
    run = Store(tmp_path).create(TrainSpec())
    writer = EventWriter(run.events_path)
    for event in (started(), metric(10), metric(20), started(2, 10)):
        writer.write(**event)
    last = writer.write("log", level="info", message="x")
    writer.close()

    snapshot = read_snapshot(run)

    assert steps(snapshot.epochs) == [10]
    assert snapshot.last_t == last["t"]
