"""The worker, and the workers of a study's children, inside the process of a test."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from engine.attempt import carry_out_attempt
from engine.process.signals import STOP_SIGNALS
from runs.store import Run


class Ended:
    """What a study sees of a child's worker that has ended: a ``subprocess.Popen``."""

    def __init__(self, code: int) -> None:
        self.returncode = code

    def poll(self) -> int:
        return self.returncode


def carry_out(run: Run) -> int:
    """The exit code of the worker of ``run``."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]):
            return carry_out_attempt([str(run.path)])
    finally:
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def children_in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A study's children are carried out where it starts them."""
    with monkeypatch.context() as patched:
        patched.setattr(
            "engine.process.child_at_work.start_worker", lambda child: Ended(carry_out(child))
        )
        yield
