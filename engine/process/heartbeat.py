"""A thread that says every 5 s that the worker lives, and every 10 s how the machine does.

It starts before torch is imported and knows nothing of the work: a hung run shows as a
heartbeat whose ``stalled_s`` grows.
"""

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from runs.events import EventWriter

HEARTBEAT_S = 5.0
SYSTEM_EVERY = 2  # heartbeats


class Heartbeat(threading.Thread):
    """Writes ``heartbeat`` and ``system`` events until it is stopped."""

    def __init__(self, events: EventWriter, attempt: int) -> None:
        super().__init__(daemon=True, name="heartbeat")
        self.phase = "queued"
        self._events = events
        self._attempt = attempt
        self._over = threading.Event()
        self._process = psutil.Process()

    def run(self) -> None:
        beats = 0
        while not self._over.wait(HEARTBEAT_S if beats else 0):
            self.beat()
            if beats % SYSTEM_EVERY == 1 and self.phase == "running":
                self._events.write("system", **self._machine())
            beats += 1

    def beat(self) -> None:
        """One heartbeat now."""
        self._events.write(
            "heartbeat",
            attempt=self._attempt,
            phase=self.phase,
            stalled_s=round(time.time() - self._events.last_progress, 1),
        )

    def stop(self) -> None:
        self._over.set()
        self.join()

    def _machine(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        return {
            "cpu_percent": psutil.cpu_percent(),
            "memory_used": memory.used,
            "memory_total": memory.total,
            "worker_memory": self._process.memory_info().rss,
            "gpus": _gpus(),
        }


def _gpus() -> list[dict[str, Any]]:
    """Each GPU's load, as NVML tells it; empty where there is no NVIDIA driver."""
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
            with contextlib.suppress(pynvml.NVMLError):  # not every card tells everything
                gpu["utilisation_percent"] = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                gpu["temperature_c"] = pynvml.nvmlDeviceGetTemperature(handle, 0)
                gpu["power_w"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
            gpus.append(gpu)
    return gpus
