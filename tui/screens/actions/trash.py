"""The trash of the home: restore a removed run, or delete all of them for good."""

import time

from runs.store import Run
from runs.trash import Trash, removed_at
from tui.render.text import clean, short_ago
from tui.screens.actions.targets import RunTargets, count
from tui.screens.dialogs import Pick

SHOWN = 10
"""Removed runs that can be chosen; ``advtui trash`` lists all."""
EMPTY = "empty"


def open_trash(screen: RunTargets) -> None:
    """Show the runs that were removed last; restore one, or ask whether to delete them all."""
    trash = Trash(screen.state.store)
    runs = sorted(trash.runs(), key=removed_at, reverse=True)
    ids = {run.id for run in runs}
    removed = [run for run in runs if run.parent not in ids]
    if not removed:
        screen.tell("the trash is empty")
        return
    answers = [(run.id, f"restore {_described(run)}") for run in removed[:SHOWN]]
    more = len(removed) - SHOWN
    about = [f"and {more} more: advtui trash lists them"] if more > 0 else []
    whole = f"all {count(removed)}" if len(removed) > 1 else "it"
    answers.append((EMPTY, f"delete {whole} for good"))

    def answered(answer: str | None) -> None:
        if answer == EMPTY:
            _ask_to_empty(screen, trash, len(removed))
        elif answer is not None:
            _restore(screen, trash, answer)

    question = f"The trash holds {count(removed)}:"
    screen.app.push_screen(Pick(question, answers, about=about), answered)


def _described(run: Run) -> str:
    title = run.name or run.mode or run.kind
    ago = short_ago(removed_at(run), time.time())
    return f"{clean(title, 30)} ({run.id[-4:]}), removed {ago} ago"


def _restore(screen: RunTargets, trash: Trash, run_id: str) -> None:
    restored, problems = screen.each([Run(trash.folder / run_id)], lambda _: trash.restore(run_id))
    screen.tell_done(f"restored {run_id}" if restored else "", problems)


def _ask_to_empty(screen: RunTargets, trash: Trash, number: int) -> None:
    def answered(answer: str | None) -> None:
        if answer is None:
            return
        emptied, problems = screen.each([Run(trash.folder)], lambda _: trash.empty())
        screen.tell_done("emptied the trash" if emptied else "", problems)

    runs = f"{number} runs" if number > 1 else "1 run"
    question = f"Delete {runs} of the trash for good?"
    screen.app.push_screen(Pick(question, [(EMPTY, f"delete {runs}")]), answered)
