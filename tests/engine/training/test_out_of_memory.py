"""Memory that runs out halves the batch, in a training and in an evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.evaluation.batch_size import room_for
from engine.models.checkpoint import read_checkpoint
from engine.training import lightning_module as classifier
from engine.training.awp import Loss
from engine.training.recipes import RECIPES, Setting
from runs.errors import UserError
from runs.spec import TrainSpec
from runs.store import Run
from tiny_training import carried_out, tiny, warnings


class SmallMemory(nn.Module):
    """A network on a device that has room for so many images, its BatchNorm aside."""

    def __init__(self, network: nn.Module, room: int) -> None:
        super().__init__()
        self.network = network
        self.room = room

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        logits: Tensor = self.network(images)
        return logits


def trained_with_room(
    room: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, dict[str, Any], dict[str, Tensor]]:
    def limited(_: TrainSpec, classes: int, *__: object) -> nn.Module:
        torch.manual_seed(0)
        return SmallMemory(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes)), room)

    monkeypatch.setattr(classifier, "new_model", limited)
    spec = tiny(lr=0.01, clip_norm=1.0, **{"attack.random_start": False})
    run, result = carried_out(home, spec)
    return run, result, read_checkpoint(run.checkpoint("last"))["current_model_state"]


def test_memory_that_runs_out_halves_the_batch_until_it_fits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, result, weights = trained_with_room(8, tmp_path / "small", monkeypatch)
    assert result["steps"] == 2 * 4  # a step is still one of 32 images
    training = [w for w in warnings(run) if "gradients" in w]
    assert ["of 32 images is split into 2 parts" in w for w in training] == [True, False]
    assert "of 32 images is split into 4 parts" in training[1]
    assert [w for w in warnings(run) if "the validation" in w] == [
        f"out of memory: the validation splits its batches into {n} parts" for n in (2, 4)
    ]
    # Accumulated, the gradients are those of the whole batch.
    roomy, as_whole, expected = trained_with_room(1000, tmp_path / "large", monkeypatch)
    assert warnings(roomy) == []
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name])
    for name in ("train_loss", "val_loss", "val_robust_accuracy"):
        assert result["last"][name] == pytest.approx(as_whole["last"][name], rel=1e-4)


def test_a_step_that_ran_out_of_memory_leaves_no_trace_in_the_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Tensor]] = []
    usual = RECIPES["pgd-at"]

    def failing(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
        seen.append([buffer.clone() for buffer in model.buffers()])
        found = usual(model, images, labels, setting)
        if len(seen) == 2:  # the second part of a batch that has been halved already fails too
            seen.append([buffer.clone() for buffer in model.buffers()])
        if len(seen) in (1, 3):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return found

    monkeypatch.setitem(RECIPES, "pgd-at", failing)
    run, _ = carried_out(tmp_path, tiny(epochs=1))
    assert len([w for w in warnings(run) if "gradients" in w]) == 2
    first, second, moved, again = seen[:4]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, moved, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_less_memory_than_two_images_need_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="even with 2 images"):
        trained_with_room(1, tmp_path, monkeypatch)


def test_an_attack_run_takes_smaller_batches_where_memory_is_short() -> None:
    torch.manual_seed(0)
    network = SmallMemory(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)), 10)
    found, said = room_for(network, torch.rand(64, 3, 32, 32))
    assert found == 8
    assert said == "out of memory with batches of 64 images: batches of 8 are used"
    assert room_for(network, torch.rand(10, 3, 32, 32)) == (10, None)
