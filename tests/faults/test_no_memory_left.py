"""Memory that runs out on a CPU halves the batches; a killed worker's end is explained."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn

import engine.attempt as worker
from advtui_process import TINY, Command, wait_for
from engine.evaluation.batch_size import room_for
from engine.process.out_of_memory import is_out_of_memory
from engine.training import lightning_module as classifier
from one_process import carry_out
from runs.events import EventWriter
from runs.launch import worker_pid
from runs.lost_worker import why_no_result
from runs.store import Store
from tiny_training import carried_out, tiny, warnings

ON_A_CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 8589934592 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = {
    "the allocator of the CPU": RuntimeError(ON_A_CPU),
    "oneDNN": RuntimeError("could not create a primitive"),
    "a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "NumPy": MemoryError("Unable to allocate 9.00 GiB for an array"),
}


class SmallMachine(nn.Module):
    """A network on a machine with room for so many images."""

    def __init__(self, error: BaseException, room: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
        self.error, self.room = error, room

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.room:
            raise self.error
        logits: Tensor = self.network(images)
        return logits


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_training_halves_its_batches_for_every_error_of_memory(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "new_model", lambda *_: SmallMachine(error, 16))
    run, result = carried_out(tmp_path, tiny(epochs=1, train_limit=64, lr=0.01))
    assert result["steps"] == 2
    assert any("of 32 images is split into 2 parts" in warning for warning in warnings(run))


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_evaluation_halves_its_batches_for_every_error_of_memory(error: BaseException) -> None:
    found, _ = room_for(SmallMachine(error, 10), torch.rand(64, 3, 32, 32))
    assert found == 8


def test_the_real_allocator_is_recognised() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("alloc_cpu.cpp")],
)
def test_another_error_is_none_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        room_for(SmallMachine(error, 1), torch.rand(4, 3, 32, 32))


def test_memory_that_runs_out_elsewhere_is_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> Any:
        raise RuntimeError(ON_A_CPU)

    monkeypatch.setattr("engine.worker.carry_out", short)
    run = store.create(tiny())
    assert carry_out(run) == 1
    assert run.failure is not None
    assert run.failure["message"].startswith(f"out of memory: {worker.MEMORY_ADVICE}")


# Workers that the system kills


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        (-9, "ended by signal 9: the system may have run out of memory; it had 3,120 MB last"),
        (-11, "ended by signal 11 (SIGSEGV)"),
        (1, "the worker exited without a result"),
        (None, "the worker exited without a result"),
    ],
)
def test_the_end_of_a_worker_without_a_result_is_explained(
    exit_code: int | None, reason: str, store: Store
) -> None:
    run = store.create(tiny())
    events = EventWriter(run.events_path)
    for memory in (1_000_000_000, 3_120_000_000):
        events.write("system", worker_memory=memory)
    events.write("heartbeat", attempt=1)
    events.close()
    assert why_no_result(run, exit_code) == reason


@pytest.mark.slow
def test_a_study_starts_a_killed_child_again_once_and_then_says_why_it_ended(
    advtui: Command,
) -> None:
    study = advtui.start("study", *TINY, "--epochs", "500", "--share")
    store = Store(advtui.home)
    killed: list[int] = []

    def worker_of_child() -> int | None:
        children = [run for run in store.runs() if run.parent]
        if not children or not children[0].was_started or children[0].state() != "running":
            return None
        pid = worker_pid(children[0])
        return None if pid in killed or not children[0].checkpoints() else pid

    for _ in range(2):
        wait_for(worker_of_child)
        pid = worker_of_child()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        wait_for(lambda: not psutil.pid_exists(killed[-1]))

    _, said = study.communicate(timeout=60)

    assert study.returncode == 1
    assert "ended by signal 9: the system may have run out of memory" in said
    child = next(run for run in store.runs() if run.parent)
    assert any("retry 1 of 1 begins in 5 s" in text for text in warnings(child))
