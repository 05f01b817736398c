"""The younger recipes at work on digits: they earn robustness, and survive a stop."""

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO

from engine.models.checkpoint import load_model, read_checkpoint
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.training.callbacks.checkpointing import checkpoint_io
from engine.training.recipes import RECIPES
from engine.training.resumption import resumption
from engine.training.trainer import train
from runs.events import EventWriter
from runs.overrides import override
from runs.presets import preset
from runs.snapshot import read_snapshot
from runs.spec import TrainSpec
from runs.storage import StorageError
from runs.store import Run, Store


def tiny(**fields: Any) -> TrainSpec:
    """A network of width 4 and a part of the digits, at ε = 24/255; one long step in training."""
    demo = preset("demo").child("robust")
    assert isinstance(demo, TrainSpec)
    small = {"width": 4, "train_limit": 400, "batch_size": 16, "ema_decay": 0.0, "share": True}
    threat = {"eps": "24/255", "validation.steps": 5}
    if fields.get("recipe") not in ("standard", "fast"):  # which refuse to hear of steps
        threat |= {"steps": 1, "step_size": "24/255"}
    return override(demo, {"val_per_class": 6, **small, **threat, **fields})


class StopAfter:
    """Asks for a stop when so many batches are done."""

    def __init__(self, batches: float) -> None:
        self._left = batches

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0

    def listen(self) -> None:
        """Called by a training that has begun."""


def carry_out(
    run: Run,
    spec: TrainSpec,
    batches: float = float("inf"),
    events: EventWriter | None = None,
    stop: StopSignal | None = None,
) -> dict[str, Any]:
    events = events or EventWriter(run.events_path)
    stop = stop or cast(StopSignal, StopAfter(batches))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what resumes is bit-equal at the same number of threads
    try:
        with torch.random.fork_rng(devices=[]):
            context = RunContext(run, events, stop)
            return train(context, spec, torch.device("cpu"), resumption(run, spec))
    finally:
        torch.set_num_threads(threads)
        events.close()


def validated(home: Path, spec: TrainSpec) -> dict[str, float]:
    return dict(carry_out(Store(home).create(spec), spec)["last"])


EPOCHS = 12  # with six, AWP leaves some seeds at chance: it slows the beginning down


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    spec = tiny(mode="baseline", recipe="standard", epochs=EPOCHS)
    return validated(tmp_path_factory.mktemp("plain"), spec)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        *({"recipe": name} for name in ("pgd-at", "mixed", "trades", "mart", "fast")),
        *({"recipe": name, "awp_gamma": 0.005} for name in ("pgd-at", "fast")),
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_a_recipe_earns_robustness_over_an_equally_long_plain_training(
    tmp_path: Path, plain: dict[str, float], fields: dict[str, Any]
) -> None:
    last = validated(tmp_path, tiny(**fields, epochs=EPOCHS))
    assert last["val_robust_accuracy"] >= plain["val_robust_accuracy"] + 0.15


OPTIONS: tuple[dict[str, Any], ...] = (
    {
        "awp_gamma": 0.005,
        "activation": "silu",
        "label_smoothing": 0.1,
        "augmentation": "cutout",
        "ema_decay": 0.9,
        "clip_norm": 1.0,
    },
    {"swa_start": 0.5, "augmentation": "trivial", "attack.craft_mode": "train"},
)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(OPTIONS[0], id="awp and ema"),
        pytest.param(OPTIONS[1], id="swa and trivial", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_goes_with_every_option(
    recipe: str, options: dict[str, Any], tmp_path: Path
) -> None:
    fields: dict[str, Any] = {"recipe": recipe, "width": 2, "epochs": 2, "val_per_class": 1}
    if recipe == "standard":
        fields["mode"] = "baseline"
    else:
        fields |= {"eps_warmup": 0.3, "patience": 2}
    run = Store(tmp_path).create(tiny(**fields, **options, train_limit=48))
    spec = run.spec
    assert isinstance(spec, TrainSpec)
    result = carry_out(run, spec)
    assert (result["epochs"], result["steps"]) == (2, 6)
    assert all(math.isfinite(value) for value in result["last"].values())
    model, content = load_model(run.checkpoint("last"), classes=10)
    pairs = zip(model.state_dict().values(), content["current_model_state"].values(), strict=True)
    assert any(not torch.equal(averaged, raw) for averaged, raw in pairs)


@pytest.mark.slow
def test_stopped_in_the_middle_and_resumed_everything_new_ends_with_the_same_weights(
    tmp_path: Path,
) -> None:
    spec = tiny(
        recipe="trades",
        awp_gamma=0.005,
        activation="silu",
        augmentation="trivial",
        eps_warmup=0.6,
        swa_start=0.5,
        patience=3,
        epochs=4,
        train_limit=96,
        val_per_class=2,
    )
    whole, halved = (Store(tmp_path / name).create(spec) for name in ("whole", "halved"))
    expected = carry_out(whole, spec)
    for batches in (8, 6):  # in the second epoch of six batches, and in the third
        with pytest.raises(StopRequested):
            carry_out(halved, spec, batches)
        assert read_checkpoint(halved.checkpoint("last"))["global_step"] % 6 != 0
    found = carry_out(halved, spec)
    assert found["last"] | {"seconds": 0} == expected["last"] | {"seconds": 0}
    mine, theirs = (read_checkpoint(run.checkpoint("last")) for run in (halved, whole))
    for part in ("state_dict", "current_model_state", "averaging_state"):
        for key, value in theirs[part].items():
            assert torch.equal(mine[part][key], value), (part, key)
    assert _remembered(mine["callbacks"]) == _remembered(theirs["callbacks"])
    model, _ = load_model(halved.checkpoint("best_robust"), classes=10)
    assert any(isinstance(part, torch.nn.SiLU) for part in model.modules())


def _remembered(states: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What early stopping, the watch over overfitting and the averaging remember."""
    kept = ("Patience", "OverfittingWatch", "EqualAveraging")
    return {name: state for name, state in states.items() if name.startswith(kept)}


def as_for_a_gpu(_: torch.device, events: EventWriter) -> CheckpointIO:
    plugin = checkpoint_io(torch.device("cuda"), events)
    assert isinstance(plugin, AsyncCheckpointIO)
    return plugin


def test_checkpoints_written_beside_the_training_are_those_written_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny(epochs=3, width=2, train_limit=96, val_per_class=2, ema_decay=0.9)
    in_turn, beside = (Store(tmp_path / name).create(spec) for name in ("in turn", "beside"))
    carry_out(in_turn, spec)
    monkeypatch.setattr("engine.training.trainer.checkpoint_io", as_for_a_gpu)
    with pytest.raises(StopRequested):
        carry_out(beside, spec, 8)
    assert read_checkpoint(beside.checkpoint("last"))["global_step"] == 9
    carry_out(beside, spec)
    for name in ("last", "best_clean", "best_robust"):
        mine, theirs = (read_checkpoint(run.checkpoint(name)) for run in (beside, in_turn))
        for part in ("state_dict", "current_model_state"):
            for key, value in theirs[part].items():
                assert torch.equal(mine[part][key], value), (name, part, key)
    assert read_snapshot(beside).checkpoints == read_snapshot(in_turn).checkpoints


def test_a_checkpoint_that_could_not_be_written_beside_the_training_fails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny(epochs=2, width=2, train_limit=96, val_per_class=2)
    run = Store(tmp_path).create(spec)
    run.checkpoint("best_clean").mkdir(parents=True)  # no file can be moved there
    monkeypatch.setattr("engine.training.trainer.checkpoint_io", as_for_a_gpu)
    with pytest.raises(StorageError, match="best_clean"):
        carry_out(run, spec)


def test_an_early_end_is_told(tmp_path: Path) -> None:
    spec = tiny(epochs=9, patience=1, train_limit=32, lr=1e-6, val_per_class=1)
    run = Store(tmp_path).create(spec)
    epochs = carry_out(run, spec)["epochs"]
    assert epochs < 9
    assert "robust accuracy has not risen for 1 epoch" in run.events_path.read_text()
    assert len(read_snapshot(run).epochs) == epochs
    # Killed then, before its result was written, it does not begin another epoch.
    weights = run.checkpoint("last").read_bytes()
    assert carry_out(run, spec)["epochs"] == epochs
    assert run.checkpoint("last").read_bytes() == weights


@pytest.fixture
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class TerminatedAt(EventWriter):
    """Sends this process a SIGTERM at the first event of a kind that it writes in an epoch."""

    def __init__(self, path: Path, kind: str, **fields: Any) -> None:
        super().__init__(path)
        self._wanted: dict[str, Any] | None = {"kind": kind, **fields}

    def write(self, kind: Any, **fields: Any) -> Any:
        event: Any = super().write(kind, **fields)
        if self._wanted and all(event.get(key) == self._wanted[key] for key in self._wanted):
            self._wanted = None
            os.kill(os.getpid(), signal.SIGTERM)
        return event


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(
    "when",
    [
        {"kind": "progress", "task": "validate", "epoch": 1},
        {"kind": "metric", "every": "epoch", "epoch": 1},
        {"kind": "progress", "task": "train", "epoch": 1, "done": 3},  # the last batch
    ],
    ids=["in the validation", "at the end of an epoch", "in the last batch"],
)
def test_a_signal_at_the_end_of_an_epoch_ends_the_training_behind_it(
    tmp_path: Path, when: dict[str, Any]
) -> None:
    spec = tiny(epochs=3, train_limit=96, batch_size=32, val_per_class=8)
    whole, stopped = (Store(tmp_path / name).create(spec) for name in ("whole", "stopped"))
    expected = carry_out(whole, spec)
    stop = StopSignal(stopped)
    stop.listen()
    events = TerminatedAt(stopped.events_path, **when)
    with pytest.raises(StopRequested):
        carry_out(stopped, spec, events=events, stop=stop)
    saved = read_checkpoint(stopped.checkpoint("last"))
    assert (saved["epoch"], saved["global_step"]) == (1, 6)
    assert carry_out(stopped, spec)["last"] | {"seconds": 0} == expected["last"] | {"seconds": 0}


def test_a_stop_is_heard_where_an_epoch_has_one_batch(tmp_path: Path) -> None:
    spec = tiny(epochs=5, train_limit=32, batch_size=32, val_per_class=1)
    run = Store(tmp_path).create(spec)
    with pytest.raises(StopRequested):
        carry_out(run, spec, 1)
    assert read_checkpoint(run.checkpoint("last"))["global_step"] == 2
    assert carry_out(run, spec)["steps"] == 5
