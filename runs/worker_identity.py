"""Which process carries a run out, by its launch.json: a pid alone is not an identity.

Pids are reused, and mean nothing on another host, so a worker records its host, boot id, process
start time and the path of its run beside it.
"""

import socket
import time
from pathlib import Path
from typing import Any

from runs.jsonfiles import read_json

LAUNCH_FILE = "launch.json"


def identity(pid: int) -> dict[str, Any]:
    """What tells a process of this host from every other.

    Raises:
        psutil.Error: there is no such process.
    """
    import psutil

    return {
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "pid": pid,
        "process_start": psutil.Process(pid).create_time(),
    }


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def pid_in(folder: Path) -> int | None:
    """The pid of the worker of the run in this folder, if it is a live process of this host."""
    import psutil

    launch = read_json(folder / LAUNCH_FILE) or {}
    pid, began = launch.get("pid"), launch.get("process_start")
    if not isinstance(pid, int) or pid <= 0 or not isinstance(began, int | float):
        return None
    if launch.get("run") not in (None, str(folder.resolve())):  # None: of an older version
        return None
    try:
        here = identity(pid)
        zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    same = all(here[key] == launch.get(key) for key in ("host", "boot"))
    return pid if same and not zombie and abs(here["process_start"] - began) < 1.0 else None


def other_host_in(folder: Path) -> str | None:
    """The host of the latest worker of the run in this folder, where it is not this one."""
    host = (read_json(folder / LAUNCH_FILE) or {}).get("host")
    return host if isinstance(host, str) and host != socket.gethostname() else None


def has_lease(folder: Path, last_sign: float, silence_s: float) -> bool:
    """Whether a worker lives by launch.json and the events, for file systems without locks.

    It is a live process of this host, or was heard of on another host a short while ago.

    Args:
        folder: of the run.
        last_sign: unix seconds of its last event.
        silence_s: how long a worker of another host may be silent, in seconds.
    """
    if other_host_in(folder) is None:
        return pid_in(folder) is not None
    return abs(time.time() - last_sign) <= silence_s
