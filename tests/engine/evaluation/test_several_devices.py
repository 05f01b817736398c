"""An attack run on several devices finds what one on a single device finds, bit for bit."""

import subprocess
from typing import Any

import numpy as np
import psutil
import pytest

from advtui_process import wait_for
from runs.events import EventReader
from runs.launch import request_stop, start_worker
from runs.presets import preset
from runs.spec import AttackSpec, CheckpointRef, TrainSpec
from runs.store import Run, Store
from tiny_training import tiny

ATTACKS: tuple[dict[str, Any], ...] = (
    {"name": "pgd-untargeted", "pgd": {"eps": 0.1, "steps": 5}},
    {"name": "pgd-targeted", "targets": "random", "pgd": {"eps": 0.1, "steps": 5}},
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Store(tmp_path_factory.mktemp("home")).create(tiny(device="cpu", threads=1, epochs=2))
    assert finished(run, start_worker(run)) == 0
    return run


def finished(run: Run, worker: subprocess.Popen[bytes]) -> int:
    code = worker.wait(180)
    assert run.raw_result is not None, run.log_path.read_text(encoding="utf-8")
    return code


def attack_run(trained: Run, devices: int, **fields: Any) -> Run:
    """A new attack run on the training's last weights."""
    reference = CheckpointRef(run=trained.id, checkpoint="last", label="Last")
    given = {"data": "digits", "device": "cpu", "threads": 1, "batch_size": 6, "examples": 4}
    given |= {"attacks": ATTACKS, "epsilons": (0.05, 0.1), "limit": 230, **fields}
    spec = AttackSpec.model_validate({**given, "checkpoints": (reference,), "devices": devices})
    return Store(trained.home).create(spec)


def attacked(run: Run) -> float:
    """How many images an attack at work is done with."""
    events = EventReader(run.events_path).new()
    return max((event["done"] for event in events if event["kind"] == "attack"), default=0)


def outcome(run: Run) -> dict[str, Any]:
    """All that an attack run has found: arrays of single images, and the table without times."""

    def timeless(part: Any) -> Any:
        if isinstance(part, dict):
            return {k: timeless(v) for k, v in part.items() if k not in ("seconds", "evaluation")}
        return [timeless(item) for item in part] if isinstance(part, list) else part

    result = run.raw_result or {}
    found = {name: timeless(result[name]) for name in ("rows", "threat_model", "sanity")}
    for file in ("outcomes.npz", "examples.npz"):
        with np.load(run.path / file, allow_pickle=False) as arrays:
            found |= {f"{file} {name}": arrays[name].tolist() for name in arrays.files}
    return found


def test_two_ranks_find_what_one_process_finds(trained: Run) -> None:
    alone, together = attack_run(trained, 1), attack_run(trained, 2)
    for run in (alone, together):
        assert finished(run, start_worker(run)) == 0
    (row,) = (alone.raw_result or {})["rows"]
    assert row["correct_k"] > 3 * 6, "too few batches for two ranks"
    assert outcome(together) == outcome(alone)


@pytest.mark.slow
def test_autoattack_by_two_ranks_finds_what_one_process_finds(trained: Run) -> None:
    fields = {
        "attacks": ({"name": "autoattack", "method": "autoattack", "pgd": {"eps": 0.2}},),
        "epsilons": (),
        "batch_size": 4,
        "limit": 10,
        "examples": 0,
    }
    tables = []
    for devices in (1, 2):
        run = attack_run(trained, devices, **fields)
        assert finished(run, start_worker(run)) == 0
        tables.append((run.raw_result or {})["rows"][0]["attacks"]["autoattack"]["robust_k"])
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_it_stops_and_goes_on_with_another_number_of_devices(trained: Run) -> None:
    hardly = {**ATTACKS[1], "pgd": {"eps": 0.001, "steps": 300}}  # reaches its targets
    more = {"attacks": (hardly,), "epsilons": ()}
    alone, cut = attack_run(trained, 1, **more), attack_run(trained, 2, **more)
    assert finished(alone, start_worker(alone)) == 0
    worker = start_worker(cut)
    wait_for(lambda: attacked(cut) >= 12)
    request_stop(cut)
    assert finished(cut, worker) == 130
    assert cut.state() == "interrupted"
    cut.set_place({"devices": 1})
    assert finished(cut, start_worker(cut)) == 0
    assert outcome(cut) == outcome(alone)


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_run_with_its_name(trained: Run) -> None:
    hardly = {**ATTACKS[1], "pgd": {"eps": 0.001, "steps": 5000}}  # reaches its targets
    long = {"attacks": (hardly,), "epsilons": ()}
    run = attack_run(trained, 2, **long)
    worker = start_worker(run)
    wait_for(lambda: run.was_started and bool(psutil.Process(worker.pid).children()))
    (other,) = psutil.Process(worker.pid).children()
    other.kill()
    assert finished(run, worker) == 1
    assert run.failure is not None
    assert "rank 1 of 2 ended by signal 9" in run.failure["message"]


def test_a_study_shares_its_devices_with_all_its_children() -> None:
    study = preset("demo").model_copy(update={"devices": 2})
    assert [study.child(role).devices for role in ("baseline", "robust", "attack")] == [2, 2, 2]
    assert isinstance(study.child("robust"), TrainSpec)
