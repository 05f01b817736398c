"""A run waits for the run before it, and no longer."""

import json
from pathlib import Path

import pytest

from advtui_process import wait_for
from engine.process.run_queue import wait_for_runs
from engine.process.stop_signal import StopRequested, StopSignal
from runs.events import EventWriter
from runs.jsonfiles import write_json
from runs.launch import request_stop, start_worker
from runs.locks import FileLock
from runs.presets import preset
from runs.store import Run, Store

DEMO = preset("demo")


@pytest.fixture
def pair(home: Path) -> tuple[Run, Run]:
    store = Store(home)
    return store.create(DEMO), store.create(DEMO)


def wait_in_vain(run: Run, first: Run) -> None:
    """``run`` waits for ``first`` until it is stopped."""
    request_stop(run)
    with pytest.raises(StopRequested):
        wait_for_runs([first], StopSignal(run), lambda _: None)


def test_a_run_waits_while_another_lives_and_no_longer(pair: tuple[Run, Run]) -> None:
    first, run = pair
    wait_in_vain(run, first)  # it has been created this moment
    write_json(first.path / "result.json", {"state": "failed"})
    with FileLock(first.path / "lock"):
        wait_in_vain(run, first)  # its worker is still there
    waited: list[Run] = []
    wait_for_runs([first], StopSignal(run), waited.append)
    assert not waited


def test_a_run_that_was_killed_or_deleted_holds_nobody_up(pair: tuple[Run, Run]) -> None:
    first, run = pair
    now = EventWriter(first.events_path).write("heartbeat", phase="running")
    wait_in_vain(run, first)
    first.events_path.write_text(json.dumps({**now, "t": now["t"] - 31}) + "\n")
    wait_for_runs(
        [first, Run(first.path.with_name("20200101-000000-study-0000"))],
        StopSignal(run),
        lambda _: None,
    )


def test_a_worker_that_waits_is_queued_and_stops_when_asked(
    pair: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    import runs

    monkeypatch.setenv("PYTHONPATH", str(Path(runs.__file__).parents[1]))
    first, run = pair
    with FileLock(first.path / "lock"):
        worker = start_worker(run, [first])
        wait_for(
            lambda: (
                "waiting for run"
                in (run.events_path.read_text() if run.events_path.exists() else "")
            )
        )
        assert run.state() == "queued"
        request_stop(run)
        assert worker.wait(30) == 130
    assert run.state() == "interrupted"
    assert not Store(run.home).children(run)
