"""A screen whose keys act on runs, and what is said of these runs."""

from collections.abc import Callable, Sequence

from runs.errors import UserError
from runs.store import Run
from tui.render.text import clean, run_count
from tui.run_list.row import Row
from tui.screens.base import AppScreen

LISTED = 8
"""Runs that a question names."""


class RunTargets(AppScreen):
    """A screen whose keys act on runs: those marked, the one at the cursor, or the one shown."""

    @property
    def row(self) -> Row | None:
        """The run at the cursor, or the one that is shown."""
        return None

    @property
    def target_rows(self) -> Sequence[Row]:
        """The runs that the keys act on."""
        return [self.row] if self.row else []

    @property
    def targets(self) -> list[Run]:
        """The runs that the keys act on."""
        return [self.state.run(row.id) for row in self.target_rows]

    def after_delete(self) -> None:
        """Called when a run of the screen was deleted."""

    def title_of(self, run: Run) -> str:
        """The run's name, else its role, mode or kind; short."""
        row = self.state.feed.rows.get(run.id)
        return clean(row.title if row is not None else run.kind, 36)

    def named(self, runs: Sequence[Run]) -> str:
        """``night (3f9a)``, or ``3 runs``."""
        return count(runs) if len(runs) != 1 else f"{self.title_of(runs[0])} ({runs[0].id[-4:]})"

    def listed(self, runs: Sequence[Run]) -> list[str]:
        """A line for each of the first runs: its title before its id."""
        lines = [f"{self.title_of(run)}  {run.id}" for run in runs[:LISTED]]
        more = len(runs) - LISTED
        return [*lines, f"and {more} more"] if more > 0 else lines

    def each(
        self, runs: Sequence[Run], act: Callable[[Run], object]
    ) -> tuple[list[Run], list[str]]:
        """Act on each run; returns those where it worked, and a sentence for each other."""
        done, problems = [], []
        for run in runs:
            try:
                act(run)
            except UserError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{run.path} can't be written: {error.strerror}")
            else:
                done.append(run)
            self.state.feed.forget(run.id)
        return done, problems

    def tell_done(self, text: str, problems: Sequence[str]) -> None:
        """One notice: what was done (empty: nothing to tell), and the first of the problems."""
        parts = [part for part in (text, *problems[:1]) if part]
        if len(problems) > 1:
            parts.append(f"and {len(problems) - 1} more problems")
        if parts:
            self.tell("; ".join(parts), "error" if problems else "information")


def count(runs: Sequence[object]) -> str:
    """``1 run``, ``3 runs``."""
    return run_count(len(runs))


def others(left: int, of: int, what: str) -> str:
    """``2 of the 5 marked runs are completed.``"""
    return f"{left} of the {of} marked runs {'is' if left == 1 else 'are'} {what}."
