"""Follows the changes of a home and of a run, in slices of a few milliseconds.

The screen's own loop calls everything here. A pass over a home with thousands of runs, or over a
long file of events, is cut into slices. Has no thread and knows no widget.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runs.event_types import Event
from runs.events import EventReader
from runs.remaining import left_s
from runs.run_state import LIVE
from runs.snapshot import Snapshot
from runs.store import Run, Store
from tui.run_list.machine_load import MachineLoads
from tui.run_list.row import Row, read_row

SLICE_BYTES = 256 * 1024
MOST_POINTS = 24
"""Points of a sweep whose events are followed."""


class HomeFeed:
    """The rows of a home, kept up to date by repeated passes over its folders.

    A run that has ended is read again only when its folder has changed; one that is at work is
    followed by its events.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.rows: dict[str, Row] = {}
        self.problem = ""
        """Why the home can't be read, as a sentence; empty while it can."""
        self.loads = MachineLoads()
        """Of the machines that carry out the live runs."""
        self._clock = clock
        self._ended: list[Row] = []
        self._changed = False
        self._stamps: dict[str, tuple[int, ...]] = {}
        self._live: dict[str, tuple[EventReader, Snapshot]] = {}
        self._pass: Iterator[None] | None = None

    def step(self, budget_s: float = 0.01) -> bool:
        """Continue the pass for about ``budget_s`` seconds; True when the pass has ended."""
        until = time.perf_counter() + budget_s
        if self._pass is None:
            self._pass = self._one_pass()
        for _ in self._pass:
            if time.perf_counter() >= until:
                return False
        self._pass = None
        return True

    def take_change(self) -> bool:
        """Whether any row has changed since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def take_ended(self) -> list[Row]:
        """The runs that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def forget(self, run_id: str) -> None:
        """Read this run again in the next pass, even if its files have not changed."""
        self._stamps.pop(run_id, None)

    def _one_pass(self) -> Iterator[None]:
        try:
            entries = self.store.entries()
            problem = ""
        except FileNotFoundError:
            entries = {}
            gone = bool(self.rows)
            problem = f"the home is gone: {self.store.home}" if gone else ""
        except OSError as error:
            entries = {}
            problem = f"the home can't be read ({error.strerror}): {self.store.home}"
        if problem != self.problem:
            self.problem, self._changed = problem, True
        if not problem:
            for run_id in self.rows.keys() - entries.keys():
                self._drop(run_id)
        yield
        for run_id in sorted(entries, reverse=True):  # an id begins with its time
            self._read(run_id, entries[run_id])
            yield

    def _drop(self, run_id: str) -> None:
        del self.rows[run_id]
        self._stamps.pop(run_id, None)
        self._live.pop(run_id, None)
        self._changed = True

    def _read(self, run_id: str, folder_changed: int) -> None:
        known = self.rows.get(run_id)
        run = Run(self.store.folder / run_id)
        stamp = (folder_changed, _mtime(run.events_path) if known and not known.is_live else 0)
        at_rest = known is not None and not known.is_live and not known.may_return
        if at_rest and self._stamps.get(run_id) == stamp:
            return
        try:
            row = self._row(run, known)
        except Exception as error:  # the other runs stay visible
            row = Row(run_id, error=f"can't be read: {error!r}")
        self._stamps[run_id] = (folder_changed, 0 if row.is_live else _mtime(run.events_path))
        if row != known:
            if known and known.is_live and not row.is_live:
                self._ended.append(row)
            self.rows[run_id] = row
            self._changed = True

    def _row(self, run: Run, known: Row | None) -> Row:
        snapshot = None
        if known is not None and known.is_live:
            reader, snapshot = self._live.setdefault(
                run.id, (EventReader(run.events_path), Snapshot())
            )
            for event in reader.new(SLICE_BYTES):
                snapshot.apply(event)
                if event["kind"] == "system" and snapshot.started is not None:
                    self.loads.add(str(snapshot.started.get("host")), event)
            if reader.has_more:  # still catching up
                snapshot = None
        row = read_row(run, snapshot, self._clock())
        if not row.is_live:
            self._live.pop(run.id, None)
        return row


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@dataclass
class Member:
    """A run that is followed: the run itself or one of its children."""

    run: Run
    reader: EventReader
    snapshot: Snapshot = field(default_factory=Snapshot)


class RunFeed:
    """The events of a run and of its children, applied to a snapshot of each.

    Of a sweep it follows the newest :data:`MOST_POINTS` points that it hears of.
    """

    def __init__(self, run: Run, store: Store | None = None) -> None:
        self.run = run
        self.members: dict[str, Member] = {}
        self._add(run)
        if run.kind in ("study", "sweep"):
            for child in (store or Store(run.home)).children(run)[-MOST_POINTS:]:
                self._add(child)

    def _add(self, run: Run) -> None:
        known = run.id in self.members
        if self.run.kind == "sweep" and len(self.members) > MOST_POINTS:
            oldest = next(run_id for run_id in self.members if run_id != self.run.id)
            if known or not run.raw_spec or run.state() not in LIVE:
                return
            del self.members[oldest]
        if not known and (run is self.run or run.raw_spec):
            self.members[run.id] = Member(run, EventReader(run.events_path))

    def read(self, max_bytes: int = -1) -> list[tuple[Run, Event]]:
        """The events since the last call, those of each member in their order."""
        events: list[tuple[Run, Event]] = []
        for member in list(self.members.values()):
            for event in member.reader.new(max_bytes):
                member.snapshot.apply(event)
                events.append((member.run, event))
                if event["kind"] == "child":  # it may be a reused run of another study
                    self._add(Run(self.run.path.parent / Path(event["run"]).name))
        return events

    @property
    def has_more(self) -> bool:
        """Whether :meth:`read` was cut short by its ``max_bytes``."""
        return any(member.reader.has_more for member in self.members.values())

    @property
    def trainings(self) -> list[Member]:
        """The run itself, or the study's trainings in the order of their start."""
        return [member for member in self.members.values() if member.run.kind == "train"]

    @property
    def attack(self) -> Member | None:
        """The run itself, or the study's last attack run."""
        attacks = [member for member in self.members.values() if member.run.kind == "attack"]
        return attacks[-1] if attacks else None

    @property
    def at_work(self) -> Member:
        """The last member that has started and not ended, else the run itself."""
        for member in reversed(self.members.values()):
            if member.snapshot.started and member.snapshot.ended is None:
                return member
        return self.members[self.run.id]

    @property
    def left_s(self) -> float | None:
        """Seconds of work left, of a study over all its children; None before a pace is known."""
        return left_s(self.run.raw_spec, self.members[self.run.id].snapshot, self.snapshots)

    @property
    def snapshots(self) -> dict[str, Snapshot]:
        """Of the run and of its children, by their ids."""
        return {run_id: member.snapshot for run_id, member in self.members.items()}

    @property
    def is_live(self) -> bool:
        return self.run.state() in LIVE


class TrainingSnapshots:
    """Snapshots of trainings; each call reads the new events only."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def forget(self) -> None:
        """Forget all snapshots, when no screen shows them any more."""
        self._members.clear()

    def snapshot(self, run: Run) -> Snapshot:
        """The snapshot of a run after all its events so far."""
        if run.id not in self._members:
            self._members[run.id] = Member(run, EventReader(run.events_path))
        member = self._members[run.id]
        for event in member.reader.all_new():
            member.snapshot.apply(event)
        return member.snapshot
