"""Retries: a run that crashed or was killed starts again, and nothing else does."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advtui_process import Command, result_of
from engine.process import supervisor
from engine.process.signals import STOP_SIGNALS
from engine.process.supervisor import pause_before, retries_wanted, supervise
from one_process import carry_out
from runs.events import EventReader, EventWriter
from runs.interruption import STOP_FILE
from runs.jsonfiles import write_json
from runs.launch import worker_pid
from runs.presets import preset
from runs.spec import AnySpec
from runs.store import Run, Store
from tiny_training import tiny

Ends = Callable[[Run], int]
"""An attempt: what it leaves behind, and its exit code."""


def leaves(state: str) -> Ends:
    def attempt(run: Run) -> int:
        write_json(run.path / "result.json", {"v": 1, "kind": "train", "state": state})
        return 0 if state == "completed" else 1

    return attempt


def crash(run: Run) -> int:
    events = EventWriter(run.events_path)
    events.write("log", level="error", message="KeyError: 'conv1'")
    events.close()
    return 1


def killed(run: Run) -> int:  # noqa: ARG001 (as every attempt)
    return -signal.SIGKILL


def stopped_by_force(run: Run) -> int:
    (run.path / STOP_FILE).touch()
    return -signal.SIGKILL


@pytest.fixture
def carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Run, int, list[int]]]]:
    """Supervises a run whose attempts end as the test says; run, exit code, retries left each."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.05)

    def supervised(retries: int, *ends: Ends) -> tuple[Run, int, list[int]]:
        run, left, waiting = Store(tmp_path).create(tiny(retries=retries)), [], list(ends)

        def attempt(run: Run, retries_left: int) -> int:
            left.append(retries_left)
            return waiting.pop(0)(run)

        monkeypatch.setattr(supervisor, "_attempt", attempt)
        code = supervise([str(run.path)])
        assert not waiting
        return run, code, left

    yield supervised
    for number, handler in handlers.items():
        signal.signal(number, handler)


def messages(run: Run) -> list[str]:
    return [e["message"] for e in EventReader(run.events_path).new() if e["kind"] == "log"]


def test_after_a_crash_and_a_kill_it_starts_again(carried_out: Any) -> None:
    run, code, left = carried_out(3, crash, killed, leaves("completed"))
    assert (code, left) == (0, [3, 2, 1])
    assert run.state() == "completed"
    told = messages(run)
    assert told[1] == "KeyError: 'conv1': retry 1 of 3 begins in 0 s"
    assert told[2].startswith("ended by signal 9: the system may have run out of memory")
    assert told[2].endswith("retry 2 of 3 begins in 0 s")


def test_the_last_retry_leaves_the_reason_in_the_result(carried_out: Any) -> None:
    run, code, left = carried_out(1, crash, killed)
    assert (code, left) == (1, [1, 0])
    assert result_of(run)["state"] == "failed"
    assert run.failure["message"].startswith("ended by signal 9: ")


@pytest.mark.parametrize("state", ["completed", "failed", "interrupted"])
def test_a_run_with_a_result_is_not_started_again(carried_out: Any, state: str) -> None:
    run, _, left = carried_out(3, leaves(state))
    assert left == [3]
    assert run.state() == state


def test_a_worker_that_was_stopped_by_force_is_not_started_again(carried_out: Any) -> None:
    run, code, left = carried_out(3, stopped_by_force)
    assert (code, left) == (130, [3])
    assert run.state() == "interrupted"


def test_a_folder_taken_away_ends_it(carried_out: Any) -> None:
    def taken_away(run: Run) -> int:
        os.rename(run.path, run.path.with_name("elsewhere"))  # noqa: PTH104
        return 1

    _, code, left = carried_out(3, taken_away)
    assert (code, left) == (1, [3])


def test_in_the_pause_the_run_is_queued_and_can_be_stopped(
    carried_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 60.0)
    seen: list[tuple[str, bool, bool]] = []
    sleep = time.sleep
    run_home: list[Path] = []

    def crash_here(run: Run) -> int:
        run_home.append(run.home)
        return crash(run)

    def look(seconds: float) -> None:
        run = Store(run_home[0]).runs()[0]
        seen.append((run.state(), run.has_worker, worker_pid(run) == os.getpid()))
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", look)
    run, code, left = carried_out(1, crash_here)
    assert seen[0] == ("queued", True, True)
    assert (code, left) == (130, [1])
    assert run.state() == "interrupted"


def test_the_pause_grows_to_a_limit() -> None:
    assert [pause_before(retry) for retry in (1, 2, 3, 50)] == [5.0, 20.0, 80.0, 600.0]


@pytest.mark.parametrize(
    ("spec", "wanted"), [(tiny(retries=2), 2), (tiny(), 0), (preset("demo"), 0)]
)
def test_only_runs_that_ask_for_it_have_a_supervisor(
    spec: AnySpec, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Store(tmp_path).create(spec)
    assert retries_wanted([str(run.path)]) == wanted
    assert retries_wanted([str(run.path), "2"]) == 0  # its supervisor has started this one
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    assert retries_wanted([str(run.path)]) == 0


def test_a_study_retries_its_children_once_and_a_run_by_itself_does_not() -> None:
    assert preset("demo").retries == 1
    assert preset("demo").child("robust").retries == 0


def test_a_refusal_is_no_crash(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(batch_size=2000, train_limit=2000))
    assert carry_out(run) != 0
    assert result_of(run)["state"] == "failed"


KILLS_ITSELF_ONCE = """
import os, signal
from pathlib import Path
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 10))

    def forward(self, images):
        return self.layers(images)

def make():
    mark = Path(__file__).with_name("killed")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Net()
"""


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "netkilled.py").write_text(KILLS_ITSELF_ONCE)
    advtui = Command(tmp_path / "home")
    done = advtui(
        *("attack", "--model", f"{tmp_path}/netkilled.py:make", "--data", "digits"),
        *("--limit", "40", "--set", "retries=1", "--threads", "1"),
    )
    assert done.returncode == 0, done.stderr
    (run,) = Store(tmp_path / "home").runs()
    assert result_of(run)["attempt"] == 2
    assert any("retry 1 of 1 begins in 5 s" in text for text in result_of(run)["warnings"])
    assert "retry 1 of 1" in done.stderr
