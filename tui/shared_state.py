"""What the screens share while the app is open.

Knows no screen, no widget and no app. The app makes one :class:`SharedState` and hands it to every
screen; a screen that asks the app to act sends a message of :mod:`tui.messages`.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runs.store import Run, Store
from tui.run_list.feed import HomeFeed, TrainingSnapshots
from tui.settings import Settings, read_settings


@dataclass
class SharedState:
    """One home, and what the screens over it have in common."""

    store: Store
    settings: Settings = field(default_factory=read_settings)
    clock: Callable[[], float] = time.time
    """Returns unix seconds."""
    feed: HomeFeed = field(init=False)
    """The rows of the run list; the app keeps them up to date."""
    marked: set[str] = field(default_factory=set)
    """Ids of the marked runs."""
    snapshots: TrainingSnapshots = field(default_factory=TrainingSnapshots)
    """Trainings whose curves some screen shows, by run."""
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.feed = HomeFeed(self.store, self.clock)

    def run(self, run_id: str) -> Run:
        """The run with this id, whether its folder exists or not."""
        return Run(self.store.folder / run_id)

    def adopt(self, worker: subprocess.Popen[bytes] | None) -> None:
        """Keep a worker that a screen has started, until :meth:`reap_workers` finds it ended.

        None of a run that was handed to Slurm.
        """
        if worker is not None:
            self._workers.append(worker)

    def reap_workers(self) -> None:
        """Collect the exit status of ended workers, so that none stays a zombie process."""
        self._workers = [worker for worker in self._workers if worker.poll() is None]
