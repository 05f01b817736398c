"""A training on several devices ends where one on a single device ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from pydantic import ValidationError
from torch import multiprocessing as processes

from engine.models.checkpoint import load_model, read_checkpoint
from engine.process.ranks import Place, place_of
from engine.training.recipes import Setting
from engine.world import World
from runs.errors import UserError
from runs.launch import start_worker, worker_pid
from runs.snapshot import read_snapshot
from runs.spec import TrainSpec
from runs.store import Run, Store
from several_ranks import rank, trained
from tiny_training import tiny

CASES: tuple[dict[str, Any], ...] = (
    {"mode": "baseline", "recipe": "standard", "awp_gamma": 0.005},
    {"recipe": "pgd-at", "attack": {"steps": 2, "restarts": 2}},
    {"recipe": "pgd-at", "attack": {"steps": 2, "norm": "l2", "eps": 1.0, "craft_mode": "train"}},
    {"recipe": "mixed", "attack": {"steps": 2}, "mixed_clean": 0.4},
    {"recipe": "trades", "attack": {"steps": 2}, "awp_gamma": 0.005},
    {"recipe": "mart", "attack": {"steps": 2}},
    {"recipe": "fast"},
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_ranks_end_where_one_process_ends(size: int, tmp_path: Path) -> None:
    """In float64: in float32 PyTorch's BatchNorm alone changes a gradient by a percent."""
    out = tmp_path / "found.pt"
    arguments = (size, free_port(), CASES, out)
    processes.spawn(rank, arguments, nprocs=size)  # type: ignore[attr-defined]
    for fields, found in zip(CASES, torch.load(out), strict=True):
        with torch.random.fork_rng(devices=[]):
            expected = trained(fields)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-9)


def test_each_image_belongs_to_one_rank() -> None:
    spec = TrainSpec(data="digits")
    for size in (1, 2, 3, 5):
        for first, end in ((0, 30), (0, 7), (7, 19), (19, 30), (4, 4)):
            places = sorted(
                first + place
                for number in range(size)
                for place in range(end - first)[
                    Setting(
                        spec, 10, torch.nn.Identity(), torch.Generator(), world=World(number, size)
                    ).local_places(first, end)
                ]
            )
            assert places == list(range(first, end))


def together(home: Path, **fields: Any) -> Run:
    options = {"device": "cpu", "threads": 2, "devices": 2, "epochs": 2, "lr": 0.02, **fields}
    return Store(home).create(tiny(**options))


def ended(run: Run, process: subprocess.Popen[bytes]) -> int:
    code = process.wait(120)
    assert run.raw_result is not None, run.log_path.read_text(encoding="utf-8")
    return code


def weights(run: Run) -> dict[str, Any]:
    content: dict[str, Any] = read_checkpoint(run.checkpoint("last"))
    return content["state_dict"]  # type: ignore[no-any-return]


def ranks_of(run: Run) -> list[psutil.Process]:
    """The processes that the worker has started, once there are some."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (pid := worker_pid(run)) is not None and (found := psutil.Process(pid).children()):
            return found
        time.sleep(0.1)
    raise AssertionError("no second rank")


def until(run: Run, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while len(read_snapshot(run).epochs) < epoch:
        assert time.monotonic() < deadline, run.log_path.read_text(encoding="utf-8")
        time.sleep(0.05)


@pytest.mark.slow
def test_it_stops_and_goes_on_exactly(tmp_path: Path) -> None:
    whole, cut = (together(tmp_path / name, epochs=3) for name in ("whole", "cut"))
    assert ended(whole, start_worker(whole)) == 0
    worker = start_worker(cut)
    until(cut, 1)
    os.kill(worker.pid, signal.SIGTERM)
    assert ended(cut, worker) == 130
    assert cut.state() == "interrupted"
    assert ended(cut, start_worker(cut)) == 0
    assert cut.state() == "completed"
    for name, value in weights(whole).items():
        assert torch.equal(weights(cut)[name], value), name
    assert load_model(whole.checkpoint("best_clean"), classes=10)
    single = together(tmp_path / "single", epochs=3, devices=1)
    assert ended(single, start_worker(single)) == 0
    for name in ("train_loss", "val_loss"):
        one, two = (run.result["last"][name] for run in (single, whole))  # type: ignore[index]
        assert two == pytest.approx(one, rel=0.05)


@pytest.mark.slow
def test_it_goes_on_with_another_number_of_devices(tmp_path: Path) -> None:
    """One device, then two, then one again: it ends where one device ends, up to rounding."""
    whole, moved = (together(tmp_path / n, epochs=5, devices=1) for n in ("whole", "moved"))
    assert ended(whole, start_worker(whole)) == 0
    for epoch, devices in ((1, 2), (3, 1)):
        worker = start_worker(moved)
        until(moved, epoch)
        os.kill(worker.pid, signal.SIGTERM)
        assert ended(moved, worker) == 130
        moved.set_place({"devices": devices})
    assert ended(moved, start_worker(moved)) == 0
    assert moved.state() == "completed"
    told = [notice["message"] for notice in read_snapshot(moved).notices]
    for text in ("devices 1 → 2", "devices 2 → 1"):
        assert any(f"goes on with {text}" in message for message in told), told
    for name in ("train_loss", "val_loss"):
        one, other = (run.result["last"][name] for run in (whole, moved))  # type: ignore[index]
        assert other == pytest.approx(one, rel=0.05)
    assert [e["step"] for e in read_snapshot(moved).epochs] == [
        e["step"] for e in read_snapshot(whole).epochs
    ]


@pytest.mark.slow
def test_a_rank_that_dies_ends_all_and_is_named(tmp_path: Path) -> None:
    run = together(tmp_path, epochs=500)
    worker = start_worker(run)
    (other,) = ranks_of(run)
    until(run, 1)
    other.kill()
    assert ended(run, worker) == 1
    assert run.raw_result is not None
    assert "rank 1 of 2 ended by signal 9" in run.raw_result["error"]["message"]


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_no_rank_behind(tmp_path: Path) -> None:
    run = together(tmp_path, epochs=500)
    worker = start_worker(run)
    (other,) = ranks_of(run)
    until(run, 1)
    worker.kill()
    worker.wait()
    other.wait(20)
    assert run.raw_result is None


@pytest.mark.slow
def test_torchrun_starts_it_too(tmp_path: Path) -> None:
    run = together(tmp_path)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words = [*launcher, "--nproc-per-node", "2", "-m", "engine", str(run.path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert run.state() == "completed"


def test_the_launcher_must_start_a_process_for_each_device() -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    assert place_of(2, {}) == Place(0, 2, 0, 2)
    given = dict(zip(names, ("1", "4", "1", "2"), strict=True))
    assert place_of(4, given) == Place(1, 4, 1, 2)
    with pytest.raises(UserError, match="the launcher started 4 processes for a run on 2 devices"):
        place_of(2, given)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"devices": 3}, "batch_size 128 can't be shared by 3 devices: use 126 or 129"),
        ({"devices": 2, "device": "cuda:1"}, "device cuda:1 is one device"),
        ({"devices": 0}, "devices"),
    ],
)
def test_what_can_not_be_shared_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TrainSpec.model_validate(fields)
