"""Slurm's own programs, and what its queue says of the jobs of runs.

One ``squeue`` call answers for all runs and is kept for a few seconds. A Slurm that does not answer
is told apart from one that knows a job no longer: then nothing is concluded. Reads and writes no
file but ``slurm.json``, the record of a run's job.
"""

import getpass
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runs.errors import EXIT_FAILED, UserError
from runs.jsonfiles import read_json, write_json

RECORD_FILE = "slurm.json"
KEPT_S = 5.0
"""Seconds for which an answer of ``squeue`` is taken as new."""
PATIENCE_S = 10.0
"""Seconds that a program of Slurm has to answer."""
RETRY_S = 10.0
"""Seconds before a Slurm that did not answer is asked again."""
UNKNOWN, GONE = "UNKNOWN", "GONE"
"""States of our own: Slurm does not answer; it knows the job no longer."""
_WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_AT_WORK = (
    *("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STAGE_OUT", "SIGNALING"),
    *("RESIZING", "STOPPED"),
)


class SlurmError(UserError):
    """A program of Slurm refused, failed or did not answer."""

    exit_code = EXIT_FAILED


class JobRecord(NamedTuple):
    """The job that a run was given to Slurm as."""

    run: str
    job: str
    user: str
    children: tuple[str, ...]
    """Ids of the runs whose jobs this one waits for."""


class JobState(NamedTuple):
    """What Slurm says of a job, in its own words: ``PENDING``, ``Priority``."""

    word: str
    reason: str = ""
    starts: str = ""
    """When Slurm expects it to start, in local time; empty where it does not say."""

    @property
    def is_waiting(self) -> bool:
        return self.word in _WAITING

    @property
    def is_at_work(self) -> bool:
        return self.word in _AT_WORK

    @property
    def is_known(self) -> bool:
        """Whether Slurm has answered."""
        return self.word != UNKNOWN

    @property
    def has_ended(self) -> bool:
        return self.is_known and not self.is_waiting and not self.is_at_work


def is_installed() -> bool:
    """Whether jobs can be handed in on this machine."""
    return shutil.which("sbatch") is not None


def ask_slurm(*command: str, patience_s: float = PATIENCE_S) -> str:
    """What a program of Slurm prints.

    Raises:
        SlurmError: it is not installed, does not answer, or refuses; the message is Slurm's own.
    """
    try:
        asked = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(f"Slurm is not installed here: there is no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"Slurm does not answer: {command[0]} took {patience_s:g} s") from None
    if asked.returncode:
        raise SlurmError(f"Slurm says: {_once(command[0], asked.stderr)}")
    return asked.stdout


def _once(program: str, said: str) -> str:
    """The complaint of a program without its name, and without the line that repeats it."""
    lines = [line.removeprefix(f"{program}: ").removeprefix("error: ") for line in said.split("\n")]
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(found) > 1 and found[-1].startswith("Batch job submission failed"):
        found.pop()
    return "; ".join(found) or f"{program} failed without a reason"


def record_job(folder: Path, job: str, children: Sequence[str] = ()) -> None:
    """Note in a run's folder the job that it was given to Slurm as.

    Raises:
        StorageError: the record can't be written.
    """
    fields: dict[str, Any] = {"v": 1, "job": job, "user": getpass.getuser(), "time": time.time()}
    write_json(folder / RECORD_FILE, {**fields, "children": list(children)})


def job_of(folder: Path) -> JobRecord | None:
    """The job of the run in this folder; None where it was not given to Slurm."""
    found = read_json(folder / RECORD_FILE)
    if found is None:
        return None
    job, user, children = (found.get(key) for key in ("job", "user", "children"))
    if not isinstance(job, str) or not job.isdecimal() or not isinstance(user, str):
        return None
    members = children if isinstance(children, list) else []
    return JobRecord(folder.name, job, user, tuple(c for c in members if isinstance(c, str)))


class Queue:
    """The answers of one ``squeue`` call for all jobs, kept for :data:`KEPT_S`.

    Args:
        can_wait: whether a question may wait for Slurm's answer. The screen's may not: it takes
            what is known, and a thread asks.
    """

    def __init__(self, *, can_wait: bool = True) -> None:
        self.can_wait = can_wait
        self._users: set[str] = set()
        self._jobs: dict[str, tuple[str, JobState]] | None = None
        self._asked_at = -RETRY_S
        self._failed = False
        self._asking = threading.Lock()

    def state(self, job: JobRecord, *, fresh: bool = False) -> JobState:
        """The state of a job; with ``fresh`` not from an earlier answer."""
        is_new_user = job.user not in self._users
        self._users.add(job.user)
        age = time.monotonic() - self._asked_at
        if fresh or is_new_user or age > (RETRY_S if self._failed else KEPT_S):
            self._ask(wait=self.can_wait or fresh)
        if self._jobs is None or (self._failed and job.job not in self._jobs):
            return JobState(UNKNOWN)
        name, state = self._jobs.get(job.job, ("", JobState(GONE)))
        # Ids begin anew after Slurm's highest: a job of another name is not ours.
        return state if name == job.run else JobState(GONE)

    def _ask(self, *, wait: bool) -> None:
        if not wait:
            if not self._asking.locked():
                threading.Thread(target=self._ask, kwargs={"wait": True}, daemon=True).start()
            return
        with self._asking:
            try:
                self._jobs = _read_queue(sorted(self._users))
                self._failed = False
            except SlurmError:
                self._failed = True
            self._asked_at = time.monotonic()


def _read_queue(users: Sequence[str]) -> dict[str, tuple[str, JobState]]:
    """Name and state of each job of these users that Slurm still knows, by its id.

    Raises:
        SlurmError: Slurm does not answer.
    """
    form = "--format=%i|%T|%r|%S|%j"
    said = ask_slurm(
        "squeue", "--noheader", "--states=all", f"--user={','.join(users)}", form, patience_s=5.0
    )
    found = {}
    for line in said.splitlines():
        parts = line.strip().split("|", 4)
        if len(parts) == 5:
            job, word, reason, starts, name = parts
            told = "" if reason in ("None", "(null)") else reason
            expected = "" if starts in ("N/A", "(null)") else starts.replace("T", " ")
            found[job] = (name, JobState(word, told, expected))
    return found


QUEUE = Queue()
"""Of this process."""


def has_gpus(partition: str | None) -> bool:
    """Whether nodes of a partition (None: the default one) offer GPUs.

    Raises:
        SlurmError: Slurm does not answer.
    """
    return any("gpu" in part.resources for part in partitions() if part.fits(partition))


class Partition(NamedTuple):
    """A partition of the cluster, as ``sinfo`` sums up its equal nodes."""

    name: str
    is_default: bool
    state: str
    nodes: str
    cpus: str
    """Of each node."""
    resources: str
    """GRES of each node: ``gpu:4``; empty for none."""
    limit: str
    """Longest time of a job."""

    def fits(self, name: str | None) -> bool:
        return self.is_default if name is None else self.name in name.split(",")


def partitions() -> list[Partition]:
    """The partitions that this user may see.

    Raises:
        SlurmError: Slurm is absent or does not answer.
    """
    found = []
    for line in ask_slurm("sinfo", "--noheader", "--format=%P|%a|%D|%c|%G|%l").splitlines():
        parts = line.strip().split("|")
        if len(parts) == 6:
            name, state, nodes, cpus, resources, limit = parts
            gres = "" if resources == "(null)" else resources
            plain = name.rstrip("*")
            found.append(Partition(plain, name != plain, state, nodes, cpus, gres, limit))
    return found


def version() -> str:
    """``slurm 22.05.8``.

    Raises:
        SlurmError: Slurm is not installed.
    """
    return ask_slurm("sbatch", "--version").strip()


def in_job() -> bool:
    """Whether this process works in a job that advtui has handed in: Slurm gave it its devices."""
    return "ADVTUI_JOB" in os.environ
