"""First come, first served: the runs of a home use a device in the order of their creation.

A worker takes a ticket before it imports torch and keeps it until it ends. The ticket is a file
that the worker holds locked. The system releases the lock of a process that ends, also after
SIGKILL, so a dead worker's ticket blocks nobody. A study keeps a ticket of its own: its next child
goes before every run that was created after the study. Imports no torch: a device is a name here.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from runs.gpus import visible_gpus
from runs.json_types import INVALID, parser
from runs.locks import FileLock, flock
from runs.store import Run

POLL_S = 0.25
"""Seconds between two attempts to get a device."""
SUFFIX = ".ticket"


def cpu_slots() -> int:
    """How many runs share the CPU of this machine: ``ADVTUI_CPU_SLOTS``, by default 1."""
    try:
        return max(1, min(int(os.environ.get("ADVTUI_CPU_SLOTS", "1")), os.cpu_count() or 1))
    except ValueError:
        return 1


def devices_for(device: str) -> int:
    """How many runs that ask for a spec's ``device`` can work at the same time on this machine."""
    gpus = 0 if device == "cpu" else visible_gpus()
    if device in ("auto", "cuda") and gpus:
        return gpus
    return 1 if device.startswith("cuda") else cpu_slots()


@dataclass(frozen=True, order=True)
class Turn:
    """A run's position in the order: first the creation of its study (or its own), then its own."""

    study_created: float
    study: str
    created: float
    run: str

    @classmethod
    def of(cls, run: Run) -> "Turn":
        """The turn of a run; without a parent it is its own. What a sweep holds has its turn."""
        study = run
        while study.parent is not None and (parent := Run(run.path.parent / study.parent)).raw_spec:
            study = parent
        return cls(study.created, study.id, run.created, run.id)


@dataclass(frozen=True)
class Entry:
    """A live ticket."""

    turn: Turn
    on_gpu: bool | None
    """Whether the run asked for a GPU; None: its ticket can't be read."""
    device: str | None = None
    """Name of its device, from :func:`engine.devices.lock_name`; None until it has torch."""
    is_working: bool = False
    """Whether it holds the device."""

    def may_use(self, device: str) -> bool:
        """Whether it uses, or may come to use, a device."""
        if self.device is None:
            return self.on_gpu in (None, device.startswith("cuda"))
        return self.device == device


@dataclass(frozen=True)
class Place:
    """Where a waiting run stands."""

    number: int
    """1: next."""
    behind: str
    """Id of the run, or of its study, that goes directly before."""


class DeviceQueue:
    """The ticket of one worker, and its view of the other tickets.

    Args:
        run: the worker's run.
        on_gpu: whether it asks for a GPU.
        on_place: called with the place whenever it changes; None: the wait is over.
        check_stop: called while waiting; raises to give up.
    """

    def __init__(
        self,
        run: Run,
        *,
        on_gpu: bool,
        on_place: Callable[[Place | None], object],
        check_stop: Callable[[], object],
    ) -> None:
        self.turn = Turn.of(run)
        self._locks = run.home / "locks"
        self._folder = self._locks / f"queue-{socket.gethostname()}"
        self._entry = Entry(self.turn, on_gpu)
        self._on_place, self._check_stop = on_place, check_stop
        self._place: Place | None = None
        self._path, self._fd = self._take_ticket()

    def _take_ticket(self) -> tuple[Path, int]:
        """Create the ticket: locked first, visible to others afterwards."""
        self._folder.mkdir(parents=True, exist_ok=True)
        turn = self.turn
        parts = (f"{turn.study_created:.6f}", turn.study, f"{turn.created:.6f}", turn.run)
        path = self._folder / f"{'~'.join(parts)}~{os.getpid()}{SUFFIX}"
        hidden = path.with_name(f".{path.name}")
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        flock(fd, fcntl.LOCK_EX)
        os.pwrite(fd, _content(self._entry), 0)
        hidden.rename(path)
        return path, fd

    def release(self) -> None:
        """Give the ticket back."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)

    def wait_before_import(self, devices: int) -> None:
        """Wait until this run is at work or next, with so many devices of its kind.

        A worker that has not imported torch yet waits here, since torch takes some 430 MB. The
        next run checks its request early and is ready when a device is free.
        """
        while len(self._studies(ahead := self._ahead())) > devices:
            self._wait(ahead)

    @contextmanager
    def device(self, name: str) -> Iterator[None]:
        """Hold a device: enter when it is this run's turn, leave with the device free."""
        self._update(device=name, is_working=False)
        lock = self._lock(name)
        try:
            self._check_stop()  # also when the run before has just stopped, by the same request
            while (
                (ahead := self._ahead(name))
                or not lock.try_acquire()
                or (not lock.is_supported and self._holders(name))
            ):
                self._wait(ahead or self._holders(name))
            self._report(None)
            self._update(device=name, is_working=True)
            yield
        finally:
            self._update(device=name, is_working=False)
            lock.release()

    @contextmanager
    def first_free(self, names: Sequence[str]) -> Iterator[str]:
        """Hold the first of several devices that is free when it is this run's turn.

        Args:
            names: of devices of one kind, the preferred one first.

        Returns:
            The name of the device.
        """
        if len(names) == 1:
            with self.device(names[0]):
                yield names[0]
            return
        locks = {name: self._lock(name) for name in names}
        try:
            self._check_stop()
            while (name := self._take_one(locks)) is None:
                self._wait(self._ahead() or [e for n in names for e in self._holders(n)])
            self._report(None)
            self._update(device=name, is_working=True)
            yield name
        finally:
            for lock in locks.values():
                lock.release()

    def _take_one(self, locks: Mapping[str, FileLock]) -> str | None:
        """Take a lock that no earlier run waits for; None where there is none.

        An earlier run that wants a certain device keeps that; each other one keeps one of the rest.
        """
        waiting = [entry for entry in self._ahead() if not entry.is_working]
        wanted = {entry.device for entry in waiting}
        held = {entry.device for entry in self.entries() if entry.is_working}
        free = [name for name in locks if name not in wanted | held]
        before = len(self._studies([entry for entry in waiting if entry.device is None]))
        return next((name for name in free[before:] if locks[name].try_acquire()), None)

    def _lock(self, name: str) -> FileLock:
        return FileLock(self._locks / f"{socket.gethostname()}-{name}.lock")

    def report_place(self) -> None:
        """Report the place of a study, whose children do the waiting."""
        self._report(self._place_behind(self._ahead()))

    def end_wait(self) -> None:
        """Report that a study's child has its device."""
        self._report(None)

    def _ahead(self, device: str | None = None) -> list[Entry]:
        """Live tickets of earlier runs that may use a device; without it, one of its kind."""
        return [
            entry
            for entry in self.entries()
            if entry.turn < self.turn
            and entry.turn.study != self.turn.study
            and (
                entry.on_gpu in (None, self._entry.on_gpu)
                if device is None
                else entry.may_use(device)
            )
        ]

    def _holders(self, device: str) -> list[Entry]:
        """A later run that holds the device: it came when nobody was waiting."""
        return [
            entry
            for entry in self.entries()
            if entry.is_working and entry.device == device and entry.turn.study != self.turn.study
        ]

    def _wait(self, ahead: list[Entry]) -> None:
        self._report(self._place_behind(ahead))
        time.sleep(POLL_S)
        self._check_stop()

    @staticmethod
    def _studies(entries: list[Entry]) -> list[str]:
        """The runs of a list in their order; a study with its child counts once."""
        return list(dict.fromkeys(entry.turn.study for entry in entries))

    def _place_behind(self, ahead: list[Entry]) -> Place | None:
        studies = self._studies(ahead)
        return Place(len(studies), studies[-1]) if studies else None

    def _report(self, place: Place | None) -> None:
        if place != self._place:
            self._place = place
            self._on_place(place)

    def _update(self, *, device: str, is_working: bool) -> None:
        """Write the device into the ticket, and into that of the study."""
        self._entry = Entry(self.turn, self._entry.on_gpu, device, is_working)
        os.pwrite(self._fd, _content(self._entry), 0)
        for path in self._folder.glob(f"*~{self.turn.study}~*~{self.turn.study}~*{SUFFIX}"):
            if path != self._path:
                try:
                    fd = os.open(path, os.O_WRONLY)
                except FileNotFoundError:
                    continue
                os.pwrite(fd, _content(self._working_sibling() or self._entry), 0)
                os.close(fd)

    def _working_sibling(self) -> Entry | None:
        """Of a child that does not work: another child of its study that does."""
        own = (self.turn.run, self.turn.study)
        siblings = (e for e in self.entries() if e.turn.study == self.turn.study)
        working = (e for e in siblings if e.is_working and e.turn.run not in own)
        return None if self._entry.is_working else next(working, None)

    def entries(self) -> list[Entry]:
        """The live tickets, in their order; those of ended workers are removed."""
        found = []
        for path in self._folder.glob(f"[!.]*{SUFFIX}"):
            try:
                entry = _read(path)
            except FileNotFoundError:  # given back meanwhile
                continue
            if entry is not None:
                found.append(entry)
        return sorted(found, key=lambda entry: entry.turn)


class _Content(TypedDict):
    gpu: bool
    device: str | None
    working: bool


_CONTENT_BYTES = 160
"""Every content has this length, so that one write replaces the whole."""


def _content(entry: Entry) -> bytes:
    fields = {"gpu": bool(entry.on_gpu), "device": entry.device, "working": entry.is_working}
    return json.dumps(fields).encode().ljust(_CONTENT_BYTES)


def _read(path: Path) -> Entry | None:
    """A ticket; None, and the file is removed, where its worker has ended.

    Raises:
        FileNotFoundError: the ticket was given back.
    """
    study_created, study, created, run, _ = path.name.removesuffix(SUFFIX).split("~")
    turn = Turn(float(study_created), study, float(created), run)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            is_live = not flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB) and _process_lives(path)
        except BlockingIOError:
            is_live = True
        if is_live:
            return _parsed(turn, os.pread(fd, _CONTENT_BYTES, 0))
        path.unlink(missing_ok=True)  # its name is never used again: it holds a process id
        return None
    finally:
        os.close(fd)


def _process_lives(path: Path) -> bool:
    """Whether the process in a ticket's name lives, for a file system without locks."""
    import psutil

    pid = path.name.removesuffix(SUFFIX).rpartition("~")[2]
    return pid.isdecimal() and psutil.pid_exists(int(pid))


def _parsed(turn: Turn, content: bytes) -> Entry:
    try:
        fields = parser(_Content)(json.loads(content))
    except ValueError:
        fields = INVALID
    if fields is INVALID:
        return Entry(turn, None)
    return Entry(turn, fields["gpu"], fields["device"], fields["working"])
