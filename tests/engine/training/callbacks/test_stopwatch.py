"""Profile, rates, FLOPs, and the time that a training has left."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from engine.models.resnet import resnet18
from engine.training.callbacks.stopwatch import Stopwatch
from engine.training.flops import costs
from runs.events import EventReader
from runs.passes import passes
from tiny_training import carried_out, tiny


def test_a_profile_says_where_the_time_goes(tmp_path: Path) -> None:
    run, _ = carried_out(tmp_path, tiny(profile=True, batch_size=8, epochs=1))
    told = (run.path / "profile" / "time.txt").read_text()
    head, *lines = told.splitlines()
    assert head.startswith("5 training steps on cpu: ")
    shares = {line.split("  ")[0]: float(line.split()[-1].rstrip("%")) for line in lines[1:5]}
    assert list(shares) == ["augmentation", "attack", "optimiser", "descent and rest"]
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert all(share > 0 for share in shares.values())
    assert "convolution" in told
    trace = json.loads((run.path / "profile" / "trace.json").read_text())
    assert trace["traceEvents"]


def test_a_result_tells_images_flops_and_what_share_of_the_hardware_that_is(tmp_path: Path) -> None:
    spec = tiny()
    _, result = carried_out(tmp_path, spec)
    assert result["images"] == 2 * 4 * 32
    assert result["flops"] == result["images"] * costs(resnet18(10, 4, [0.5] * 3, [0.5] * 3)).of(
        passes(spec)
    )
    assert 0 < result["train_seconds"] < result["fit_seconds"]
    assert 0 < result["seconds_per_epoch"] < result["fit_seconds"]
    rate = result["images"] / result["train_seconds"]
    assert result["images_per_second"] == pytest.approx(rate, rel=0.01)
    assert 0 < result["flop_utilisation"] < 1
    best = result["matmul_flops_per_second"]
    assert result["flops_per_second"] / best == pytest.approx(result["flop_utilisation"], rel=0.01)


def test_rates_are_taken_from_steps_that_compile_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("engine.training.callbacks.stopwatch.time.monotonic", lambda: now)
    trainer = cast(Any, SimpleNamespace(is_last_batch=False))
    module = cast(Any, SimpleNamespace(settled=False, device=torch.device("cpu")))
    watch = Stopwatch()
    watch.on_train_start(trainer, module)
    watch.on_train_epoch_start(trainer, module)
    for seconds, settled, rate in ((30, False, None), (9, True, None), (2, True, 0.5)):
        now += seconds
        module.settled = settled  # from the next step on
        watch.on_train_batch_end(trainer, module)
        assert watch.rate == rate
    now += 1  # validation
    assert watch.epoch_s == (42.0, 39.0)
    assert (watch.steps, watch.steps_s, watch.warm_up_s) == (1, 2.0, 39.0)
    watch.on_train_epoch_end(trainer, module)
    resumed = Stopwatch()
    resumed.load_state_dict(watch.state_dict())
    resumed.on_train_epoch_start(trainer, module)
    assert (resumed.rate, resumed.epoch_s, resumed.epochs_s) == (None, (0.0, 0.0), [42.0])
    now += 4
    resumed.on_train_batch_end(trainer, module)
    assert (resumed.rate, resumed.steps, resumed.steps_s) == (0.25, 2, 6.0)


def test_how_long_a_training_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps at the rate so far, validations as the last one, or else by what they compute."""
    now = 100.0
    monkeypatch.setattr("engine.training.callbacks.stopwatch.time.monotonic", lambda: now)
    of = {"max_epochs": 3, "num_training_batches": 4, "validating": False, "is_last_batch": False}
    trainer = cast(Any, SimpleNamespace(**of, global_step=0, current_epoch=0))
    module = cast(Any, SimpleNamespace(settled=True, device=torch.device("cpu")))
    watch = Stopwatch(validation_steps=0.5)
    watch.on_train_start(trainer, module)
    watch.on_train_epoch_start(trainer, module)
    assert watch.left_s(trainer) is None
    for step in (1, 2, 3, 4):
        now += 2
        trainer.global_step = step
        watch.on_train_batch_end(trainer, module)
        assert watch.left_s(trainer) == 2 * (12 - step) + 3 * 0.5 * 2
    trainer.validating = True
    now += 0.75
    assert watch.left_s(trainer) == 2 * 8 + 3 - 0.75
    now += 2.25  # it takes 3 seconds, and the checkpoints one
    assert watch.left_s(trainer) == 2 * 8 + 3 - 1
    watch.on_train_epoch_end(trainer, module)
    now += 1
    trainer.validating, trainer.current_epoch = False, 1
    watch.on_train_epoch_start(trainer, module)
    assert watch.left_s(trainer) == 2 * 8 + 2 * 4
    resumed = Stopwatch(validation_steps=0.5)
    resumed.load_state_dict(watch.state_dict())
    resumed.on_train_start(trainer, module)
    assert resumed.left_s(trainer) == 2 * 8 + 2 * 4


def test_a_slow_first_step_of_an_epoch_does_not_multiply_the_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("engine.training.callbacks.stopwatch.time.monotonic", lambda: now)
    of = {"max_epochs": 3, "num_training_batches": 4, "validating": False, "is_last_batch": False}
    trainer = cast(Any, SimpleNamespace(**of, global_step=0, current_epoch=0))
    module = cast(Any, SimpleNamespace(settled=True, device=torch.device("cpu")))
    watch = Stopwatch()
    watch.on_train_start(trainer, module)
    watch.on_train_epoch_start(trainer, module)
    for step, seconds in ((1, 2), (2, 2), (3, 2), (4, 2), (5, 12)):
        if step == 5:
            watch.on_train_epoch_end(trainer, module)
            trainer.current_epoch = 1
            watch.on_train_epoch_start(trainer, module)
        now += seconds
        trainer.global_step = step
        watch.on_train_batch_end(trainer, module)
    assert watch.rate == 1 / 12
    assert watch.left_s(trainer) == pytest.approx(7 * 20 / 5)


def test_a_gpu_is_waited_for_seldom_and_no_step_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = 100.0, []
    monkeypatch.setattr("engine.training.callbacks.stopwatch.time.monotonic", lambda: now)
    monkeypatch.setattr(
        "engine.training.callbacks.stopwatch.synchronize", lambda _: waited.append(now)
    )
    trainer = cast(Any, SimpleNamespace(is_last_batch=False))
    module = cast(Any, SimpleNamespace(settled=False, device=torch.device("cuda")))
    watch = Stopwatch()
    watch.on_train_start(trainer, module)
    for _ in range(3):  # compiles
        now += 0.5
        watch.on_train_batch_end(trainer, module)
    module.settled = True
    now += 0.5
    watch.on_train_batch_end(trainer, module)
    assert (len(waited), watch.steps, watch.warm_up_s) == (4, 0, 2.0)
    for step in range(1, 19):
        now += 0.125
        trainer.is_last_batch = step == 18
        watch.on_train_batch_end(trainer, module)
    assert len(waited) == 6  # after two seconds, and at the end
    assert (watch.steps, watch.steps_s) == (18, 2.25)


def test_progress_tells_how_long_a_training_has_left(tmp_path: Path) -> None:
    run, _ = carried_out(tmp_path, tiny(epochs=2, train_limit=256))
    events: list[Any] = [e for e in EventReader(run.events_path).new() if e["kind"] == "progress"]
    assert {e["task"] for e in events} == {"train", "validate"}
    assert all(e["eta_s"] > 0 for e in events[:-1])
    assert events[0]["eta_s"] > events[-1]["eta_s"] >= 0
