"""Starts the processes of a training on several devices of this machine, and watches them.

There is one process for each device, called a rank. Rank 0 is the run's worker: it alone holds the
run's lock, writes its files and hears its stop requests. It starts the other ranks, unless torchrun
has started all of them, and gives them torchrun's variables. A rank that dies ends all. Imports no
torch.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from runs.errors import UserError

WATCH_S = 0.5
"""Seconds between two looks at the other ranks, and of a rank at rank 0."""
GRACE_S = 15.0
"""Seconds that a rank has to end by itself once another has ended."""
_PORTS = range(15_000, 30_000)
"""Below those that systems give out. A job takes one by its id: two jobs of a node differ."""
_PARENT = "ADVTUI_RANK_0"
"""Names the process that has started a rank, and is to outlive it."""


class Place(NamedTuple):
    """Which rank a process is, of how many; ``local``: of those on its machine."""

    rank: int
    size: int
    local_rank: int
    local_size: int


def given_place(environment: Mapping[str, str]) -> Place | None:
    """The place that a launcher gave to this process; None where no launcher has started it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        return Place(*(int(environment[name]) for name in names))
    except (KeyError, ValueError):
        return None


def started_by_launcher(environment: Mapping[str, str]) -> bool:
    """Whether torchrun or ``srun`` has started this process, and not the worker of a run."""
    return given_place(environment) is not None and _PARENT not in environment


def take_srun_place(environment: MutableMapping[str, str]) -> None:
    """Give torchrun's variables to a task that ``srun`` has started in a job of advtui.

    Of a job of one task it keeps nothing: that is a process like any other. Rank 0 works on the
    node that has started the tasks.
    """
    if "ADVTUI_JOB" not in environment or given_place(environment) is not None:
        return
    try:
        rank, size, local, node = (
            int(environment[f"SLURM_{name}"])
            for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID", "NODEID")
        )
        tasks = tasks_per_node(environment["SLURM_STEP_TASKS_PER_NODE"])[node]
    except (KeyError, ValueError, IndexError):
        return
    if size == 1:
        return
    environment.update(
        RANK=str(rank),
        WORLD_SIZE=str(size),
        LOCAL_RANK=str(local),
        LOCAL_WORLD_SIZE=str(tasks),
        MASTER_ADDR=environment.get("SLURM_LAUNCH_NODE_IPADDR", socket.gethostname()),
        MASTER_PORT=str(_PORTS[0] + int(environment["ADVTUI_JOB"]) % len(_PORTS)),
    )


def tasks_per_node(words: str) -> list[int]:
    """The numbers in Slurm's ``2(x3),1``: 2, 2, 2, 1.

    Raises:
        ValueError: the words are of another form.
    """
    numbers = []
    for word in words.split(","):
        count, _, times = word.removesuffix(")").partition("(x")
        numbers += [int(count)] * int(times or 1)
    return numbers


def place_of(devices: int, environment: Mapping[str, str]) -> Place:
    """The place of this process in a training on so many devices.

    Raises:
        UserError: a launcher has started another number of processes.
    """
    given = given_place(environment)
    if given is None:
        return Place(0, devices, 0, devices)
    if given.size != devices:
        raise UserError(
            f"the launcher started {given.size} processes for a run on {devices} devices: start "
            "one for each device"
        )
    return given


@contextmanager
def other_ranks(run_folder: Path, place: Place) -> Iterator["Others"]:
    """The other ranks of this machine: enter when they are started, leave when they have ended.

    Starts none where a launcher has started them, and on other ranks than 0.
    """
    others = Others()
    if given_place(os.environ) is None:
        os.environ |= _addresses(place)
        for rank in range(1, place.size):
            others.processes.append(_start(run_folder, rank))
    try:
        yield others
    finally:
        others.end()


class Others:
    """The other ranks that this process has started."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def dead(self) -> str | None:
        """A sentence on one that has failed; None while all work or have done their part."""
        for rank, process in enumerate(self.processes, start=1):
            code = process.poll()
            if code:
                how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
                return f"rank {rank} of {len(self.processes) + 1} ended {how}: worker.log says more"
        return None

    def end(self) -> None:
        """Wait until all have ended; end those that have not within :data:`GRACE_S`."""
        deadline = time.monotonic() + GRACE_S
        for process in self.processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def watched(problem: Callable[[], str | None], act: Callable[[str], object]) -> threading.Event:
    """Call ``act`` once, from a thread, when ``problem`` has been there for :data:`GRACE_S`.

    Until then the process may fail by itself, which tells more. Set the returned event to end it.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_S):
            if (found := problem()) is not None and not over.wait(GRACE_S):
                act(found)
                return

    threading.Thread(target=watch, daemon=True, name="ranks").start()
    return over


def end_with_rank_0() -> None:
    """On another rank: end this process when rank 0, which has started it, is no more."""
    parent = os.environ.get(_PARENT)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="rank 0").start()


def _addresses(place: Place) -> dict[str, str]:
    """torchrun's variables of rank 0, at a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(place.size),
        "LOCAL_WORLD_SIZE": str(place.size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", _loopback()),
    }


def _loopback() -> str:
    """The name of the loopback interface: ranks of one machine are not open to others."""
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), names[0])


def _start(run_folder: Path, rank: int) -> subprocess.Popen[bytes]:
    """Start a rank, whose output goes where that of this process goes."""
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), _PARENT: str(os.getpid())}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine", str(run_folder)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **own},
    )
