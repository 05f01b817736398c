"""The run store: a folder for each run below ``HOME/runs``. Files are the only state.

It creates, finds, lists and deletes runs, and derives their state from their files. It starts
nothing and does not know how a run is carried out.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.errors import NotFoundError, UserError
from runs.event_types import HeartbeatEvent
from runs.events import events_like, last_event, last_events
from runs.jsonfiles import RUN_HEADER, RUN_ID, read_json, write_json
from runs.locks import is_held
from runs.regular_files import refuse_limit
from runs.result_types import Failure, Result, parse_result
from runs.run_state import LIVE, SILENCE_S, State, state_of
from runs.slurm_queue import JobRecord, job_of
from runs.storage import storage_error
from runs.worker_identity import has_lease

if TYPE_CHECKING:  # a list of runs needs no validation, and so no pydantic
    from runs.spec import AnySpec

PLACE_FILE = "place.json"
PLACE_FIELDS = ("device", "devices", "threads", "slurm")
"""Fields of a spec that a resumed run may have otherwise."""

CHECKPOINTS = ("best_clean", "best_robust", "last")
_STARTED = re.compile(rb'"kind": ?"started"')
_ID = re.compile(rf"^{RUN_ID}$")


def default_home() -> Path:
    """``$ADVTUI_HOME``, else the platform's user data directory."""
    if home := os.environ.get("ADVTUI_HOME"):
        return Path(home).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("advtui", appauthor=False)


@dataclass(frozen=True)
class Run:
    """One run's folder. Each access reads the file again, except spec.json, which never changes."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def home(self) -> Path:
        return self.path.parent.parent

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    @cached_property
    def raw_spec(self) -> dict[str, Any]:
        """spec.json as it stands; {} if it can't be read. Fast, for lists."""
        return read_json(self.path / "spec.json") or {}

    @property
    def spec(self) -> "AnySpec":
        """The validated spec, with the place of the next attempt.

        Raises:
            UserError: spec.json is missing or was written by something else.
        """
        return self.spec_at(self.place)

    def spec_at(self, place: Mapping[str, object]) -> "AnySpec":
        """The validated spec with another ``device``, ``devices`` or ``threads``.

        Raises:
            UserError: see :attr:`spec`; or the run can't be carried out there.
        """
        if not self.raw_spec:
            raise UserError(f"{self.path / 'spec.json'} is missing or unreadable")
        from runs.spec import parse_spec

        return parse_spec({**self.raw_spec, **place})

    @property
    def place(self) -> dict[str, Any]:
        """Where its next attempts compute, as far as they do not where the spec says: ``device``,
        ``devices``, ``threads``, ``slurm``; of a study also those of its children."""
        found = read_json(self.path / PLACE_FILE) or {}
        return {key: found[key] for key in PLACE_FIELDS if key in found}

    def set_place(self, place: Mapping[str, object]) -> None:
        """Let the next attempts compute elsewhere; what is not named stays."""
        write_json(self.path / PLACE_FILE, {**self.place, **place})

    @property
    def _header(self) -> dict[str, Any]:
        """Id, creation time, parent and role, as spec.json holds them under ``run``; else {}."""
        header = self.raw_spec.get(RUN_HEADER)
        return header if isinstance(header, dict) else {}

    @property
    def created(self) -> float:
        """Unix seconds."""
        created = self._header.get("created")
        if isinstance(created, int | float) and 0 <= created < 1e12:
            return float(created)
        try:
            stamp = datetime.strptime(self.id[:15], "%Y%m%d-%H%M%S")
        except ValueError:  # a folder of somebody else's
            return 0.0
        return stamp.replace(tzinfo=UTC).timestamp()

    @property
    def parent(self) -> str | None:
        parent = _text(self._header.get("parent"))
        return parent if parent and _ID.match(parent) else None  # never a path out of the home

    @property
    def role(self) -> str | None:
        """The role of a child in its study: baseline, robust or attack."""
        return _text(self._header.get("role"))

    @property
    def kind(self) -> str:
        return str(self.raw_spec.get("kind", "unknown"))

    @property
    def mode(self) -> str | None:
        return _text(self.raw_spec.get("mode"))

    @property
    def name(self) -> str | None:
        return _text(self.raw_spec.get("name"))

    @property
    def data(self) -> str | None:
        """Name of the data set, or the path of its folder."""
        return _text(self.raw_spec.get("data"))

    @property
    def epochs(self) -> int | None:
        """Of a training: how many epochs were asked for."""
        epochs = self.raw_spec.get("epochs")
        return epochs if isinstance(epochs, int) and 0 < epochs < 10**9 else None

    @property
    def raw_result(self) -> dict[str, Any] | None:
        """result.json as it stands; None where it is absent or unreadable."""
        return read_json(self.path / "result.json")

    @property
    def result(self) -> Result | None:
        """What came of the run; None while it goes on, or where result.json can't be read."""
        raw = self.raw_result
        return None if raw is None else parse_result(raw)

    @property
    def failure(self) -> Failure | None:
        """Why the run failed; None where it did not."""
        result = self.result
        return result.get("error") if result else None

    @property
    def meta(self) -> dict[str, Any]:
        """``{"tags": […], "note": …}``"""
        found = read_json(self.path / "meta.json") or {}
        if not isinstance(found.get("note"), str):
            found.pop("note", None)
        tags = found.get("tags")
        tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        return {**found, "tags": tags}

    def set_meta(self, **fields: Any) -> None:
        """Replace ``tags`` or ``note``."""
        write_json(self.path / "meta.json", {**self.meta, **fields})

    def state(self, now: float | None = None) -> State:
        """The state, derived from the run's files, its lock, and of a job from Slurm's queue."""
        return state_of(self, now)

    @property
    def job(self) -> JobRecord | None:
        """The job that it was last given to Slurm as; None of a run that is carried out here."""
        return job_of(self.path)

    @property
    def has_worker(self) -> bool:
        """Whether a live worker holds the lock; of another host only where locks reach it.

        On a file system without locks launch.json and the last event tell.
        """
        held = is_held(self.lock_path)
        if held is None:
            return has_lease(self.path, self.last_sign, SILENCE_S)
        return held

    @property
    def last_sign(self) -> float:
        """Unix seconds of the last event, else of the run's creation."""
        event = last_event(self.events_path)
        return self.created if event is None else event["t"]

    @property
    def last_heartbeat(self) -> HeartbeatEvent | None:
        """The last sign of life in the tail of the events; with the place of a queued run."""
        for event in reversed(last_events(self.events_path)):
            if event["kind"] == "heartbeat":
                return event
        return None

    @property
    def was_started(self) -> bool:
        """Whether any attempt has passed its checks and its queue."""
        found = events_like(self.events_path, _STARTED)
        return any(event["kind"] == "started" for event in found)

    def checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.ckpt"

    def checkpoints(self) -> list[str]:
        """Names of the checkpoints that exist."""
        return [name for name in CHECKPOINTS if self.checkpoint(name).is_file()]


def _text(value: object) -> str | None:
    """A text of a file; None where the file holds something else."""
    return value if isinstance(value, str) else None


class Store:
    """The runs of one home."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = (home or default_home()).absolute()
        self.folder = self.home / "runs"
        self._known: dict[str, Run] = {}

    def create(
        self,
        spec: "AnySpec",
        *,
        parent: str | None = None,
        role: str | None = None,
    ) -> Run:
        """A new run's folder with its spec.json.

        Raises:
            UserError: the home can't be written; no folder remains.
        """
        slug = spec.mode if spec.kind == "train" else spec.kind
        created = time.time()
        stamp = datetime.fromtimestamp(created, UTC).strftime("%Y%m%d-%H%M%S")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while True:
                run = Run(self.folder / f"{stamp}-{slug}-{os.urandom(2).hex()}")
                try:
                    run.path.mkdir()
                    break
                except FileExistsError:
                    continue
        except OSError as error:
            reason = storage_error(error, self.folder) or error.strerror
            raise UserError(
                f"the home {self.home} can't be written ({reason}): "
                "choose another with --home or ADVTUI_HOME"
            ) from None
        header = {"id": run.id, "created": created, "parent": parent, "role": role}
        try:
            write_json(
                run.path / "spec.json",
                {**spec.model_dump(mode="json"), RUN_HEADER: header},
            )
        except BaseException:
            discard(run)
            raise
        return run

    def names(self) -> list[str]:
        """The ids of all runs, in no order; [] where the home is absent or can't be read."""
        try:
            with os.scandir(self.folder) as entries:
                return [entry.name for entry in entries if _ID.match(entry.name)]
        except OSError as error:
            refuse_limit(error)
            return []

    def entries(self) -> dict[str, int]:
        """The ids of all runs, each with the time of its folder's last change, in nanoseconds.

        Raises:
            OSError: the home is absent or can't be read.
        """
        found = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if _ID.match(entry.name):
                    with contextlib.suppress(OSError):  # gone, or a link to nowhere
                        found[entry.name] = entry.stat().st_mtime_ns
        return found

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        try:
            names = self.entries()
        except OSError as error:
            refuse_limit(error)
            return []
        found = [self._known.get(name) or Run(self.folder / name) for name in names]
        # spec.json never changes, so Run objects with a read spec are reused.
        self._known = {run.id: run for run in found if run.raw_spec}
        return sorted(found, key=lambda run: (run.created, run.id), reverse=True)

    def children(self, run: Run) -> list[Run]:
        """The child runs of a study or sweep, oldest first; not the children of these."""
        return [child for child in reversed(self.runs()) if child.parent == run.id]

    def family(self, run: Run) -> list[Run]:
        """A run, its children and theirs: each parent before its children, oldest first.

        A run that files name as its own ancestor is there once.
        """
        children: dict[str, list[Run]] = {}
        for other in reversed(self.runs()):
            if other.parent is not None:
                children.setdefault(other.parent, []).append(other)
        found: dict[str, Run] = {}
        waiting = [run]
        while waiting:
            member = waiting.pop()
            if member.id not in found:
                found[member.id] = member
                waiting += reversed(children.get(member.id, []))
        return list(found.values())

    def find(self, word: str) -> Run:
        """The run that ``word`` names: an id, a name, a unique part of an id, or ``@1``.

        The first of these that any run has decides: the id, the name, the id's beginning, its last
        four digits (which screens show), another part of it.

        Raises:
            NotFoundError: no run or several runs match; the message lists them.
        """
        runs = self.runs()
        if match := re.fullmatch(r"@([0-9]+)", word):
            started = [run for run in runs if run.parent is None]
            number = int(match[1][:20])  # thousands of digits are refused by int
            if not 1 <= number <= len(started):
                raise NotFoundError(f"no run {word}: {_count(started)} in {self.home}")
            return started[number - 1]
        for candidates in (
            [run for run in runs if run.id == word],
            [run for run in runs if run.name == word],
            [run for run in runs if word and run.id.startswith(word)],
            [run for run in runs if run.id.rpartition("-")[2] == word],
            [run for run in runs if word and word in run.id],
        ):
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                listed = ", ".join(run.id for run in candidates[:5])
                more = f" and {len(candidates) - 5} more" if len(candidates) > 5 else ""
                raise NotFoundError(f"{word!r} is ambiguous: {listed}{more}")
        raise NotFoundError(f"no run {word!r}: {_count(runs)} in {self.home}; see advtui runs")

    def delete(self, run: Run, *, checkpoints_only: bool = False) -> None:
        """Remove a run with its family, or their checkpoints alone.

        Raises:
            UserError: a run is queued, running or unresponsive, or can't be removed.
        """
        family = self.family(run)
        for member in family:
            if (state := member.state()) in LIVE:
                silent = ", and its worker lives" if state == "unresponsive" else ""
                raise UserError(f"{member.id} is {state}{silent}: stop it first")
        for member in family:
            path = member.path / "checkpoints" if checkpoints_only else member.path
            if checkpoints_only and member.path.is_symlink():
                raise UserError(
                    f"{member.id} is a link: its checkpoints belong to {member.path.readlink()}"
                )
            if os.path.lexists(path):
                remove_folder(path)


def remove_folder(path: Path) -> None:
    """Delete a folder with all that is in it; of a link to a folder the link alone.

    Raises:
        UserError: it can't be deleted.
    """
    try:
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
    except OSError as error:
        raise UserError(f"{path} can't be removed: {error.strerror or error}") from None


def discard(run: Run) -> None:
    """Remove the folder of a run that could not begin, as far as that is possible."""
    shutil.rmtree(run.path, ignore_errors=True)


def _count(runs: Iterable[Run]) -> str:
    number = len(list(runs))
    return "there is 1 run" if number == 1 else f"there are {number} runs"
