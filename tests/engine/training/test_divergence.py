"""A training whose loss is not a number ends, says where and why, and keeps what was finite."""

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from engine.models.checkpoint import read_checkpoint
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.training import lightning_module as classifier
from engine.training.callbacks import progress
from engine.training.divergence import DivergedError, advice
from engine.training.recipes import RECIPES, Setting
from engine.training.resumption import resumption
from engine.training.trainer import train
from runs.event_types import LogEvent
from runs.events import EventReader, EventWriter
from runs.spec import TrainSpec
from runs.store import Run, Store
from tiny_training import NeverStop, tiny, warnings

STEPS = 4
"""Optimiser steps of an epoch of :func:`tiny_training.tiny`."""
Change = Callable[[Tensor], Tensor]


def change_loss(monkeypatch: pytest.MonkeyPatch, change: Change, *steps: int) -> None:
    """Change the losses of these optimiser steps, counted from 1 in this process."""
    taken = 0
    recipe = RECIPES["pgd-at"]

    def changed(network: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Any:
        nonlocal taken
        taken += 1
        loss, logits = recipe(network, images, labels, setting)
        return change(loss) if taken in steps else loss, logits

    monkeypatch.setitem(cast(dict[str, Any], RECIPES), "pgd-at", changed)


def to(value: float) -> Change:
    return lambda loss: loss * 0 + value


def carry_out(run: Run, spec: TrainSpec, stop: object = None) -> dict[str, Any]:
    events = EventWriter(run.events_path)
    context = RunContext(run, events, cast(StopSignal, stop or NeverStop()))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            return train(context, spec, torch.device("cpu"), resumption(run, spec))
    finally:
        torch.set_num_threads(threads)
        events.close()


def logged(run: Run) -> list[LogEvent]:
    return [event for event in EventReader(run.events_path).new() if event["kind"] == "log"]


def weights_of(run: Run, name: str) -> dict[str, Tensor]:
    content = read_checkpoint(run.checkpoint(name))
    averaged = content["state_dict"]
    raw = content.get("current_model_state", {})
    return {**averaged, **{f"raw {key}": value for key, value in raw.items()}}


@pytest.mark.parametrize(
    ("value", "step", "reads_every_s"),
    [
        pytest.param(math.nan, STEPS + 1, 0.0, id="read at once"),
        pytest.param(math.inf, STEPS + 2, 1e9, id="read at the end of the epoch"),
        pytest.param(math.nan, 2 * STEPS, 1e9, id="in the last step of the epoch"),
    ],
)
def test_a_loss_that_is_no_number_ends_the_training_with_its_place(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    value: float,
    step: int,
    reads_every_s: float,
) -> None:
    monkeypatch.setattr(progress, "STEP_METRICS_EVERY_S", reads_every_s)
    change_loss(monkeypatch, to(value), step)
    run = store.create(spec := tiny(epochs=3))
    with pytest.raises(DivergedError) as error:
        carry_out(run, spec)
    assert str(error.value).startswith(f"loss is not a number in epoch 2, step {step}: start a new")
    assert error.value.place == {"epoch": 1, "step": step}
    assert error.value.exit_code == 1
    kept = read_checkpoint(run.checkpoint("last"))
    assert (kept["epoch"], kept["global_step"]) == (0, STEPS)
    for name in run.checkpoints():
        assert all(value.isfinite().all() for value in weights_of(run, name).values())


def test_a_stop_in_the_same_step_saves_no_weights_that_are_no_numbers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopAtOnce(NeverStop):
        requested = True

    monkeypatch.setattr(progress, "STEP_METRICS_EVERY_S", 1e9)
    change_loss(monkeypatch, to(math.nan), 1)
    run = store.create(spec := tiny(ema_decay=0.0))
    with pytest.raises(DivergedError, match="loss is not a number in epoch 1, step 1: start"):
        carry_out(run, spec, StopAtOnce())
    assert run.checkpoints() == []


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_weights_that_are_no_numbers_after_a_finite_loss_are_not_saved(
    store: Store, monkeypatch: pytest.MonkeyPatch, ema_decay: float
) -> None:
    def spoil(module: classifier.Classifier) -> None:
        validated(module)
        if module.current_epoch == 1:
            next(module.network.parameters()).data[0] = math.inf

    validated = classifier.Classifier.on_validation_epoch_end
    monkeypatch.setattr(classifier.Classifier, "on_validation_epoch_end", spoil)
    run = store.create(spec := tiny(epochs=3, ema_decay=ema_decay))
    with pytest.raises(DivergedError, match="a weight is not finite in epoch 2, step 8: "):
        carry_out(run, spec)
    assert read_checkpoint(run.checkpoint("last"))["epoch"] == 0


def test_a_validation_that_is_no_number_ends_the_training(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_finite(self: classifier.Classifier, *_: Tensor) -> dict[str, Any]:
        return {name: torch.tensor(math.nan) for name in self._counts}

    monkeypatch.setattr(classifier.Classifier, "_part_counts", not_finite)
    run = store.create(spec := tiny())
    with pytest.raises(DivergedError, match="validation loss is not a number in epoch 1, step 4"):
        carry_out(run, spec)
    assert run.checkpoints() == []


def test_a_large_finite_loss_is_a_warning_said_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "STEP_METRICS_EVERY_S", 0.0)
    change_loss(monkeypatch, to(3e4), 3, 4, 5)
    run = store.create(spec := tiny())
    carry_out(run, spec)
    (warning,) = logged(run)
    assert warning.get("message", "").startswith(
        "loss is 3e+04 in epoch 1, step 3: the training diverges; start a new run with a lower"
    )
    assert (warning.get("level"), warning.get("epoch"), warning.get("step")) == ("warning", 0, 3)


def test_a_resumed_training_does_not_repeat_the_warning(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopInTheSecondEpoch(NeverStop):
        left = 0

        @property
        def requested(self) -> bool:  # type: ignore[override]
            self.left -= 1
            return self.left < -STEPS

    change_loss(monkeypatch, to(3e4), *range(1, 20))
    run = store.create(spec := tiny())
    with pytest.raises(StopRequested):
        carry_out(run, spec, StopInTheSecondEpoch())
    carry_out(run, spec)
    assert len(warnings(run)) == 1


def test_a_sound_training_neither_fails_nor_warns(store: Store) -> None:
    run = store.create(spec := tiny())
    carry_out(run, spec)
    assert logged(run) == []


@pytest.mark.parametrize(
    ("fields", "bf16", "expected"),
    [
        (
            {"lr": 100},
            True,
            "a lower learning rate (--lr, now 100), gradient clipping (--clip-norm 1) or full "
            "precision (--precision fp32)",
        ),
        (
            {},
            False,
            "a lower learning rate (--lr, now 0.2) or gradient clipping (--clip-norm 1)",
        ),
        ({"clip_norm": 1.0}, False, "a lower learning rate (--lr, now 0.2)"),
    ],
)
def test_the_advice_names_what_the_training_does_not_do_yet(
    fields: dict[str, Any], bf16: bool, expected: str
) -> None:
    assert advice(tiny(**fields), bf16=bf16) == f"start a new run with {expected}"
