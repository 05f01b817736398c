"""A thread that writes a ``heartbeat`` event every 5 s and the machine's load every 10 s.

It starts before torch is imported and knows nothing about the work: the heartbeats of a run that
hangs go on, with a growing ``stalled_s``.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from engine.process.device_queue import Place
from engine.process.mirror_watch import MirrorWatch
from engine.process.watchdog import Watchdog
from runs.event_types import HeartbeatFields
from runs.events import EventWriter
from runs.storage import StorageError

HEARTBEAT_S = 5.0
"""Seconds between two heartbeats."""
SYSTEM_EVERY = 2
"""Heartbeats between two ``system`` events."""


class Heartbeat(threading.Thread):
    """Writes ``heartbeat`` and ``system`` events until :meth:`stop`.

    ``system`` events begin when :attr:`phase` is ``running``. ``on_taken_away`` is called, from the
    thread, when the events are no longer where they were: somebody took the run's folder away.
    """

    def __init__(
        self, events: EventWriter, attempt: int, on_taken_away: Callable[[], object]
    ) -> None:
        super().__init__(daemon=True, name="heartbeat")
        self.phase = "queued"
        """``queued`` or ``running``; the worker sets it."""
        self.place: Place | None = None
        """Where the run waits in the queue of its device; the worker sets it."""
        self.watchdog: Watchdog | None = None
        """Looks at each beat for progress; the worker sets it when its work begins."""
        self.mirrors: MirrorWatch | None = None
        """Looks at each beat for mirrors that have ended; the worker sets it."""
        self._events = events
        self._attempt = attempt
        self._on_taken_away = on_taken_away
        self._stopping = threading.Event()
        self._process = psutil.Process()

    def run(self) -> None:
        beats = 0
        while not self._stopping.wait(HEARTBEAT_S if beats else 0):
            if not self._events.is_in_place():
                self._on_taken_away()
            with contextlib.suppress(StorageError):  # the work itself fails where this lasts
                if self.watchdog is not None:
                    self.watchdog.look()
                if self.mirrors is not None:
                    self.mirrors.look()
                self.beat()
                if beats % SYSTEM_EVERY == 1 and self.phase == "running":
                    self._events.write("system", **self._machine())
            beats += 1

    def beat(self) -> None:
        """Write one heartbeat now."""
        fields: HeartbeatFields = {
            "attempt": self._attempt,
            "phase": self.phase,
            "stalled_s": round(time.time() - self._events.last_progress, 1),
        }
        if (place := self.place) is not None:
            fields["place"], fields["behind"] = place.number, place.behind
        self._events.write("heartbeat", **fields)

    def stop(self) -> None:
        """End the thread; return when it has ended."""
        self._stopping.set()
        self.join()

    def _machine(self) -> dict[str, Any]:
        """The fields of a ``system`` event; memory in bytes."""
        memory = psutil.virtual_memory()
        return {
            "cpu_percent": psutil.cpu_percent(),
            "memory_used": memory.used,
            "memory_total": memory.total,
            "worker_memory": self._process.memory_info().rss,
            "gpus": _gpus(),
        }


def _gpus() -> list[dict[str, Any]]:
    """The load of each GPU from NVML; empty where there is no NVIDIA driver."""
    if not Path("/dev/nvidiactl").exists():
        return []
    import pynvml

    gpus = []
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            gpu = {
                "index": number,
                "name": pynvml.nvmlDeviceGetName(handle),
                "uuid": pynvml.nvmlDeviceGetUUID(handle),
                "memory_used": int(memory.used),
                "memory_total": int(memory.total),
            }
            with contextlib.suppress(pynvml.NVMLError):  # some cards don't report all three
                gpu["utilisation_percent"] = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                gpu["temperature_c"] = pynvml.nvmlDeviceGetTemperature(handle, 0)
                gpu["power_w"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
            gpus.append(gpu)
    return gpus
