"""A training goes on from a checkpoint that is whole and its own, or says why it can't."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command_in_process import advtui

from engine.models.checkpoint import read_checkpoint
from engine.process.run_context import RunContext
from engine.training.resumption import resumption
from engine.training.trainer import train
from one_process import carry_out
from runs.errors import UserError
from runs.events import EventReader, EventWriter
from runs.spec import TrainSpec
from runs.store import Run, Store
from tiny_training import tiny

EPOCHS = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Store(tmp_path_factory.mktemp("trained")).create(tiny(epochs=EPOCHS, threads=1))
    assert carry_out(run) == 0
    return run


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy whose result is gone, as after a kill."""
    copy = Run(tmp_path / "runs" / trained.id)
    shutil.copytree(trained.path, copy.path)
    (copy.path / "result.json").unlink()
    return copy


def weights(run: Run) -> dict[str, Any]:
    return read_checkpoint(run.checkpoint("last"))["state_dict"]  # type: ignore[no-any-return]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def change(run: Run, **fields: Any) -> None:
    """By hand, as in an editor."""
    file = run.path / "spec.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def spec_of(run: Run) -> TrainSpec:
    spec = Run(run.path).spec
    assert isinstance(spec, TrainSpec)
    return spec


def test_a_damaged_last_checkpoint_is_named_and_an_older_one_taken(run: Run, trained: Run) -> None:
    # The older checkpoint is one that a stop after the first epoch has left.
    cut = Run(run.path)
    content = read_checkpoint(run.checkpoint("best_clean"))
    first = int(content["epoch"])
    damage(run.checkpoint("last"))
    damage(run.checkpoint("best_robust"))
    assert carry_out(cut) == 0
    result = cut.raw_result
    assert result is not None
    (warning,) = result["warnings"]
    assert "last.ckpt is damaged" in warning
    assert f"the training goes on from best_clean.ckpt, after epoch {first + 1}" in warning
    expected = weights(trained)
    assert all(torch.equal(value, expected[name]) for name, value in weights(cut).items())
    assert result["checkpoints"] == (trained.raw_result or {})["checkpoints"]


def test_a_weight_that_changed_on_the_disk_is_noticed(run: Run) -> None:
    path = run.checkpoint("last")
    content = torch.load(path, weights_only=False)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name].view(-1)[0] += 1e-3
    torch.save(content, path)
    assert read_checkpoint(path)["global_step"] == content["global_step"]  # else it is whole
    found = resumption(run, spec_of(run))
    assert found is not None
    assert found.path.name in ("best_robust.ckpt", "best_clean.ckpt")
    assert f"{path} is damaged: its SHA-256 is not that of the file" in found.warning


def test_a_checkpoint_whose_event_was_lost_is_taken(run: Run) -> None:
    lines = run.events_path.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if '"checkpoint"' in line and '"last"' in line)
    run.events_path.write_text("".join(f"{line}\n" for line in lines[:last]))
    found = resumption(run, spec_of(run))
    assert found is not None
    assert found.path.name == "last.ckpt"
    assert not found.warning


def test_without_a_whole_checkpoint_it_refuses(run: Run) -> None:
    for name in ("last", "best_clean", "best_robust"):
        damage(run.checkpoint(name))
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        resumption(run, spec_of(run))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"seed": 7}, "seed 0 → 7"),
        ({"lr": 0.1}, "lr 0.2 → 0.1"),
        ({"val_per_class": 3}, "val_per_class 2 → 3"),
        ({"epochs": 5}, "epochs 3 → 5; the learning rate follows the planned length"),
        ({"width": 6}, "width 4 → 6"),
        ({"augmentation": "cutout"}, "augmentation basic → cutout"),
        ({"ema_decay": 0.5}, "ema_decay 0.9 → 0.5"),
        ({"mode": "baseline", "recipe": "standard"}, "mode robust → baseline"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_spec_is_refused(run: Run, fields: dict[str, Any], words: str) -> None:
    change(run, **fields)
    with pytest.raises(UserError, match=rf"spec\.json was changed since last\.ckpt.*{words}"):
        resumption(run, spec_of(run))
    assert carry_out(Run(run.path)) == 2
    result = Run(run.path).raw_result
    assert result is not None
    assert words in result["error"]["message"]


def test_a_field_within_the_attack_is_named_by_its_path(run: Run) -> None:
    attack = json.loads((run.path / "spec.json").read_text())["attack"]
    change(run, attack={**attack, "steps": 9})
    with pytest.raises(UserError, match=r"attack\.steps 1 → 9"):
        resumption(run, spec_of(run))


def test_the_checkpoint_of_another_training_is_refused(run: Run, tmp_path: Path) -> None:
    other = Store(tmp_path / "other").create(tiny(epochs=1, seed=1, threads=1))
    assert carry_out(other) == 0
    shutil.copy(other.checkpoint("last"), run.checkpoint("last"))
    with pytest.raises(UserError, match="seed 1 → 0"):
        resumption(run, spec_of(run))


def test_a_run_goes_on_elsewhere_where_it_was_told_to(run: Run) -> None:
    assert spec_of(run).threads == 1
    run.set_place({"threads": 2})
    run.set_place({"device": "cpu"})
    spec = spec_of(run)
    assert (spec.threads, spec.device) == (2, "cpu")
    found = resumption(run, spec)
    assert found is not None
    assert found.notice == "goes on with threads 1 → 2: equal up to rounding"
    assert json.loads((run.path / "spec.json").read_text())["threads"] == 1  # as it was asked
    assert "now on  device cpu, threads 2" in advtui(run.home, "show", run.id).stdout


@pytest.mark.parametrize("place", [{"threads": 0}, {"devices": 5}, {"device": "tpu"}])
def test_a_place_that_can_not_be_is_refused(run: Run, place: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        run.spec_at(place)
    (run.path / "place.json").write_text(json.dumps(place))
    with pytest.raises(UserError):
        _ = run.spec


@pytest.mark.parametrize("fields", [{"device": "cpu"}, {"threads": 2}, {"name": "other"}])
def test_where_and_how_it_computes_may_change(run: Run, fields: dict[str, Any]) -> None:
    change(run, **fields)
    found = resumption(run, spec_of(run))
    assert found is not None
    assert found.point["epoch"] == EPOCHS - 1


class Killed(BaseException):
    """The end of a worker that nothing can see to."""


class KilledAfter:
    """A stop signal in which a worker is killed after so many batches."""

    def __init__(self, batches: float) -> None:
        self._left = batches

    def listen(self) -> None:
        """Called by a training that has begun."""

    @property
    def requested(self) -> bool:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return False


def train_on(run: Run, batches: float = float("inf")) -> None:
    events = EventWriter(run.events_path)
    context = RunContext(run, events, KilledAfter(batches))  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        train(context, spec_of(run), torch.device("cpu"), resumption(run, spec_of(run)))
    events.close()


def test_a_kill_costs_minutes_and_not_an_epoch(tmp_path: Path) -> None:
    fields = {"epochs": 2, "threads": 1, "checkpoint_minutes": 1e-6}  # after every batch
    whole, cut = (Store(tmp_path / name).create(tiny(**fields)) for name in ("whole", "cut"))
    train_on(whole)
    with pytest.raises(Killed):
        train_on(cut, batches=2)
    found = resumption(cut, spec_of(cut))
    assert found is not None
    assert found.point == {"epoch": 0, "step": 2}
    train_on(cut)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(cut).items())
    steps = [e["step"] for e in EventReader(whole.events_path).new() if e["kind"] == "checkpoint"]
    assert steps[:3] == [1, 2, 3]


def test_within_ten_minutes_an_epoch_is_saved_at_its_end_alone(trained: Run) -> None:
    events = EventReader(trained.events_path).new()
    steps = {event["step"] for event in events if event["kind"] == "checkpoint"}
    assert steps == {4, 8, 12}
