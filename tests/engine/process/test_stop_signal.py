"""Signals that ask a worker to stop, and those that must not end it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting_worker import Waiting, waiting_worker

import runs
from engine.process import stop_signal
from engine.process.signals import STOP_SIGNALS
from engine.process.stop_signal import StopRequested, StopSignal
from runs.spec import TrainSpec
from runs.store import Run, Store

SLURM = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture
def stop(store: Store) -> Iterator[StopSignal]:
    """A stop signal that listens in this process, which then handles signals as before."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    stop = StopSignal(store.create(TrainSpec()))
    stop.listen()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def waiting(home: Path) -> Iterator[Waiting]:
    with waiting_worker(home) as waiting:
        yield waiting


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_worker_as_interrupted(waiting: Waiting, number: signal.Signals) -> None:
    waiting.process.send_signal(number)
    assert waiting.process.wait(60) == 130
    assert waiting.run.state() == "interrupted"


def test_a_dropped_terminal_ends_no_worker(waiting: Waiting) -> None:
    waiting.process.send_signal(signal.SIGHUP)
    waiting.process.send_signal(signal.SIGTERM)
    assert waiting.process.wait(60) == 130  # by the second one


EARLY = """
import os, signal, sys
from pathlib import Path
from engine.process.signals import STOP_SIGNALS, hold_signals

hold_signals()
for number in (signal.SIGHUP, *STOP_SIGNALS):
    os.kill(os.getpid(), number)
from engine.process.stop_signal import StopSignal
from runs.store import Run

stop = StopSignal(Run(Path(sys.argv[1])))
print(stop.requested, flush=True)
stop.listen()
print(stop.requested, stop.is_urgent, flush=True)
"""


def test_a_signal_that_comes_before_the_worker_listens_is_kept_and_ends_nothing(
    store: Store,
) -> None:
    run = store.create(TrainSpec())
    environment = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", EARLY, str(run.path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["False", "True False"]


def test_the_first_lines_of_a_worker_hold_the_signals() -> None:
    code = (
        "import signal, sys; sys.argv = ['engine']\n"
        "import engine.__main__ as worker; worker.main()\n"
        "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)\n"
        "print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["True", str(sorted(STOP_SIGNALS))]


@pytest.mark.parametrize("number", SLURM)
def test_signals_at_once_are_one_request(stop: StopSignal, number: signal.Signals) -> None:
    with stop.at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), number)
    assert (stop.requested, stop.is_urgent) == (True, False)


@pytest.mark.parametrize("number", SLURM)
def test_a_second_signal_later_ends_the_work_wherever_it_is_and_a_third_does_nothing(
    stop: StopSignal, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(stop_signal, "AGAIN_S", 0.0)
    with stop.at_once():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not stop.is_urgent
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # while the work is being left
    assert stop.is_urgent


def test_outside_the_work_a_second_signal_raises_nothing(
    stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_signal, "AGAIN_S", 0.0)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    assert (stop.requested, stop.is_urgent) == (True, True)


def test_code_that_handles_the_errors_of_a_step_lets_a_stop_pass() -> None:
    assert not issubclass(StopRequested, Exception)


def test_a_request_file_is_a_stop_that_is_not_urgent(store: Store) -> None:
    run = Run(store.create(TrainSpec()).path)
    (run.path / "stop").touch()
    assert (StopSignal(run).requested, StopSignal(run).is_urgent) == (True, False)
