"""A training that was stopped or killed ends as if nothing had happened."""

import os
import signal
from pathlib import Path

import pytest
import torch

from advtui_process import wait_for
from runs.event_types import MetricEvent
from runs.events import EventReader
from runs.launch import request_stop, start_worker, worker_pid
from runs.overrides import override
from runs.presets import preset
from runs.snapshot import read_snapshot
from runs.spec import TrainSpec
from runs.store import Run, Store


@pytest.fixture(scope="module")
def spec() -> TrainSpec:
    robust = preset("demo").child("robust")
    assert isinstance(robust, TrainSpec)
    return override(
        robust,
        {
            "epochs": 3,
            "width": 4,
            "train_limit": 480,
            "batch_size": 32,
            "threads": 1,
            "ema_decay": 0.9,
            "steps": 7,
            "share": True,
            "val_per_class": 3,
        },
    )


@pytest.fixture(scope="module")
def uninterrupted(spec: TrainSpec, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Store(tmp_path_factory.mktemp("uninterrupted")).create(spec)
    assert start_worker(run).wait(240) == 0
    return run


def in_the_middle_of_the_second_epoch(run: Run) -> bool:
    events = EventReader(run.events_path).new()
    return any(
        e["kind"] == "progress" and e["task"] == "train" and e["epoch"] == 1 and 1 < e["done"] < 12
        for e in events
    )


def assert_same_training(one: Run, other: Run) -> None:
    for name in ("last", "best_clean", "best_robust"):
        mine, theirs = (torch.load(run.checkpoint(name), weights_only=True) for run in (one, other))
        assert mine["global_step"] == theirs["global_step"]
        for part in ("state_dict", "current_model_state"):  # averaged weights, and raw ones
            assert mine[part].keys() == theirs[part].keys()
            for key in mine[part]:
                assert torch.equal(mine[part][key], theirs[part][key]), (name, part, key)
    assert told(one) == told(other)


def told(run: Run) -> list[tuple[int, int, dict[str, float | None]]]:
    def without_time(event: MetricEvent) -> dict[str, float | None]:
        return {key: value for key, value in event["values"].items() if key != "seconds"}

    return [(e["epoch"], e["step"], without_time(e)) for e in read_snapshot(run).epochs]


@pytest.mark.slow
def test_stopped_in_the_middle_of_an_epoch_and_resumed_it_ends_with_the_same_weights(
    spec: TrainSpec, uninterrupted: Run, tmp_path: Path
) -> None:
    run = Store(tmp_path).create(spec)
    worker = start_worker(run)
    wait_for(lambda: in_the_middle_of_the_second_epoch(run))
    request_stop(run)
    assert worker.wait(60) == 130
    assert run.state() == "interrupted"
    stopped_at = torch.load(run.checkpoint("last"), weights_only=True)["global_step"]
    assert stopped_at % 15 != 0, "the stop fell on the end of an epoch"

    assert start_worker(run).wait(240) == 0
    started = read_snapshot(run).started
    assert started is not None
    assert started["resumed_from"] is not None
    assert (started["attempt"], started["resumed_from"]["step"]) == (2, stopped_at)
    assert_same_training(run, uninterrupted)


def test_killed_in_the_middle_of_an_epoch_and_resumed_it_ends_with_the_same_weights(
    spec: TrainSpec, uninterrupted: Run, tmp_path: Path
) -> None:
    run = Store(tmp_path).create(spec)
    worker = start_worker(run)
    wait_for(lambda: in_the_middle_of_the_second_epoch(run))
    pid = worker_pid(run)
    assert pid == worker.pid
    os.kill(pid, signal.SIGKILL)
    worker.wait(60)
    assert run.result is None
    assert worker_pid(run) is None

    assert start_worker(run).wait(240) == 0
    assert_same_training(run, uninterrupted)
