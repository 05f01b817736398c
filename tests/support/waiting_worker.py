"""A real worker that lives without torch: it waits in the queue behind two runs of this process."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

import runs
from advtui_process import wait_for
from engine.process.device_queue import DeviceQueue
from runs.launch import start_worker
from runs.presets import preset
from runs.store import Run, Store


class Waiting(NamedTuple):
    """A run, and the process that carries it out."""

    run: Run
    process: subprocess.Popen[bytes]

    def suspend(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED, 30)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def waiting_worker(home: Path) -> Iterator[Waiting]:
    """The worker, from its first heartbeat on; killed at the end if it still lives."""
    store = Store(home)
    before = [_ticket(store.create(preset("demo"))) for _ in range(2)]
    run = store.create(preset("demo"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(runs.__file__).parents[1]))
        process = start_worker(run)
    try:
        wait_for(lambda: (beat := run.last_heartbeat) and beat.get("place") == 2, 60)
        yield Waiting(run, process)
    finally:
        process.kill()
        process.wait()
        for queue in before:
            queue.release()


def _ticket(run: Run) -> DeviceQueue:
    return DeviceQueue(run, on_gpu=False, on_place=lambda _: None, check_stop=lambda: None)
