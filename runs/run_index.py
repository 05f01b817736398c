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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runs.jsonfiles import replacing
from runs.locks import is_held
from runs.regular_files import open_regular
from runs.storage import StorageError
from runs.store import ENDED, Run

FILE = "index.json"
READ_FROM = ("spec.json", "result.json", "meta.json", "events.jsonl")
"""Files of a run whose change makes an entry stale; every new attempt writes events."""
SETTLED_S = 2.0
"""A file that changed less than so many seconds ago may change again unnoticed: file systems note
the time of a change in ticks."""
FEWEST = 50
"""Runs that must have been read anew before the file is written again."""

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
        self._known = {
            run_id: (kept[0], kept[1])
            for run_id, kept in _read(self._path, version).items()
            if isinstance(kept, list) and len(kept) == 2 and is_entry(run_id, kept[1])
        }
        self._entries: dict[str, tuple[Sign, Entry]] = {}
        self._new = 0

    def entry(self, run_id: str, read: Callable[[Run], Entry]) -> Entry:
        """What is known of a run: from the index, else by ``read``, whose ``state`` is looked at.

        Args:
            run_id: of a run of this home.
            read: reads the entry from the run's files.
        """
        folder = f"{self._path.parent}/runs/{run_id}/"
        sign = _sign(folder)
        kept_sign, kept = self._known.get(run_id, (None, None))
        if kept is not None and kept_sign == sign and _is_at_rest(kept, folder):
            self._entries[run_id] = (sign, kept)
            found: Entry = kept
            return found
        entry = read(Run(Path(folder)))
        if _is_at_rest(entry, folder) and sign == _sign(folder) and _has_settled(sign):
            self._entries[run_id] = (sign, entry)
            self._new += 1
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
    """Whether the run has ended, or is lost and no worker has it."""
    state = entry.get("state")
    return state in ENDED or (state == "lost" and is_held(Path(folder, "lock")) is False)
