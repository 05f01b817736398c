"""What was read of ended runs, kept in the home: a list of thousands of runs reads one file.

A cache that can be deleted at any time. It knows nothing about what it keeps. An entry counts only
while the run's files are those that it was read from, by size, inode and time of change, and while
no worker has the run. A home that can't be written is read without it.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from runs.jsonfiles import replacing
from runs.locks import is_held
from runs.regular_files import open_regular
from runs.run_state import ENDED
from runs.slurm_queue import RECORD_FILE
from runs.storage import StorageError
from runs.store import Run

FILE = "index.json"
READ_FROM = ("spec.json", "result.json", "meta.json", "events.jsonl")
"""Files of a run whose change makes an entry stale; every new attempt writes events."""
SETTLED_S = 2.0
"""A file that changed less than so many seconds ago may change again unnoticed: file systems note
the time of a change in ticks."""
FEWEST = 50
"""Runs that must have been read anew before the file is written again."""

MANY, MOST_PROCESSES = 1000, 8
"""So many runs are read anew in several processes, and in at most so many."""

Entry = dict[str, Any]
Sign = list[list[int]]
"""Of each file of :data:`READ_FROM` time of change in nanoseconds, size and inode; [] without it.
"""


class RunIndex:
    """The entries of one home.

    Args:
        home: whose index is read; nothing is written before :meth:`save`.
        version: of the entries; those of another are not used.
        is_entry: whether a value of the file can be an entry of a run with this id.
    """

    def __init__(self, home: Path, version: str, is_entry: Callable[[str, object], bool]) -> None:
        self._path, self._version = home / FILE, version
        self._known: dict[str, tuple[Sign, Entry]] = {
            run_id: (kept[0], kept[1])
            for run_id, kept in _read(self._path, version).items()
            if isinstance(kept, list) and len(kept) == 2 and is_entry(run_id, kept[1])
        }
        self._entries: dict[str, tuple[Sign, Entry]] = {}
        self._new = 0

    def entries(self, run_ids: Sequence[str], read: Callable[[Run], Entry]) -> list[Entry]:
        """What is known of runs: from the index, else by ``read``, whose ``state`` is looked at.

        Args:
            run_ids: of runs of this home.
            read: reads an entry from a run's files; a function of a module, because for many runs
                it is called in other processes.
        """
        found: dict[str, Entry] = {}
        for run_id in run_ids:
            if (entry := self._kept(run_id)) is not None:
                found[run_id] = entry
        unknown = [run_id for run_id in run_ids if run_id not in found]
        folders = [self._folder(run_id) for run_id in unknown]
        for run_id, (sign, entry) in zip(unknown, _read_all(folders, read), strict=True):
            found[run_id] = entry
            if sign:
                self._entries[run_id] = (sign, entry)
                self._new += 1
        return [found[run_id] for run_id in run_ids]

    def _folder(self, run_id: str) -> str:
        return f"{self._path.parent}/runs/{run_id}/"

    def _kept(self, run_id: str) -> Entry | None:
        """The entry of the index; None where it has none, or a stale one."""
        if run_id not in self._known:
            return None
        sign, entry = self._known[run_id]
        folder = self._folder(run_id)
        if sign != _sign(folder) or not _is_at_rest(entry, folder):
            return None
        self._entries[run_id] = (sign, entry)
        return entry

    def save(self) -> None:
        """Write the index, if enough of it is new. Where that is not possible nothing happens."""
        if self._new < FEWEST and 2 * self._new < len(self._entries) + 1:
            return
        if len(self._entries) < FEWEST:
            return
        text = json.dumps(self._entries, ensure_ascii=False, separators=(",", ":"))
        head = json.dumps([self._version, _sum(text)])
        content = f"{head}\n{text}".encode("utf-8", "surrogatepass")
        with contextlib.suppress(StorageError), replacing(self._path, len(content)) as stream:
            stream.write(content)


def _read_all(folders: Sequence[str], read: Callable[[Run], Entry]) -> Iterator[tuple[Sign, Entry]]:
    """Entries from the files of runs, with their signs; [] for one that can't be kept."""
    anew = partial(_read_anew, read=read)
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    if len(folders) < MANY or processes < 2:
        yield from map(anew, folders)
        return
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(anew, folders, chunksize=100)


def _read_anew(folder: str, read: Callable[[Run], Entry]) -> tuple[Sign, Entry]:
    sign = _sign(folder)
    entry = read(Run(Path(folder)))
    is_kept = _is_at_rest(entry, folder) and sign == _sign(folder) and _has_settled(sign)
    return (sign if is_kept else []), entry


def _read(path: Path, version: str) -> dict[str, Any]:
    """The entries of the file; {} where it is absent, damaged, or of another version."""
    try:
        with open_regular(path) as stream:
            head, _, text = stream.read().decode("utf-8", "surrogatepass").partition("\n")
        if json.loads(head) != [version, _sum(text)]:
            return {}
        found = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _sum(text: str) -> str:
    """Not against people, who could write it too: against a file that was cut or damaged."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _sign(folder: str) -> Sign:
    signs: Sign = []
    for name in READ_FROM:
        try:
            status = os.stat(folder + name)  # noqa: PTH116 - a path object costs more than the call
        except OSError:
            signs.append([])
        else:
            signs.append([status.st_ctime_ns, status.st_size, status.st_ino])
    return signs


def _has_settled(sign: Sign) -> bool:
    latest = max((one[0] for one in sign if one), default=0)
    return time.time_ns() - latest > SETTLED_S * 1e9


def _is_at_rest(entry: Entry, folder: str) -> bool:
    """Whether the run has ended, or is lost and no worker has it, and Slurm has no job of it."""
    state = entry.get("state")
    if state in ("interrupted", "lost") and Path(folder, RECORD_FILE).exists():
        return False
    return state in ENDED or (state == "lost" and is_held(Path(folder, "lock")) is False)
