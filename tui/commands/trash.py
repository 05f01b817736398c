"""Removing runs and bringing them back: what ``advtui rm`` and ``advtui trash`` do and print."""

import sys
import time
from collections.abc import Sequence

import typer

from runs.errors import EXIT_INTERRUPTED, UserError
from runs.store import Run, Store
from runs.trash import Trash, citing, refuse_living, refuse_needed, removed_at
from tui.commands.plain_output import print_json, say
from tui.render.text import clean, run_count, short_ago


def remove(
    store: Store, words: Sequence[str], *, yes: bool, checkpoints_only: bool, purge: bool
) -> None:
    """Move runs with their children to the trash, or delete them or their checkpoints for good.

    Raises:
        UserError: a run is at work, can't be removed, or nobody can be asked.
        typer.Exit: the answer was no.
    """
    runs = list({run.id: run for run in map(store.find, words)}.values())
    family = list({member.id: member for run in runs for member in store.family(run)}.values())
    refuse_living(family)
    refuse_needed(store, family)
    for run, cited in citing(store, family):
        say(f"{run.kind} {run.id} refers to {cited.id}")
    listed = ", ".join(run.id for run in runs)
    if checkpoints_only:
        _confirm(f"Delete the checkpoints of {listed}?", "rm", yes=yes)
    else:
        _confirm(f"Delete {listed} for good?" if purge else f"Remove {listed}?", "rm", yes=yes)
    for run in runs:
        if checkpoints_only:
            store.delete(run, checkpoints_only=True)
            say(f"deleted the checkpoints of {run.id}")
            continue
        if not run.path.exists():  # a child was removed with its study
            continue
        what = _link(run) or run.id
        if purge:
            store.delete(run)
            say(f"deleted {what}")
        else:
            Trash(store).put(run)
            say(f"moved {what} to the trash; back with: advtui trash restore {run.id}")


def _link(run: Run) -> str | None:
    """A linked run in words: the folder that it leads to stays. None where it is a folder."""
    return f"the link {run.id} (not {run.path.readlink()})" if run.path.is_symlink() else None


def _confirm(question: str, command: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"advtui {command} asks before it removes: without a terminal give --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(EXIT_INTERRUPTED)


def print_list(trash: Trash, *, as_json: bool) -> None:
    """Print the runs of the trash, the one that was removed last first."""
    runs = sorted(trash.runs(), key=removed_at, reverse=True)
    if as_json:
        print_json([_as_data(run) for run in runs])
    elif not runs:
        say("the trash is empty")
    else:
        now = time.time()
        for run in runs:
            ago = short_ago(removed_at(run), now)
            what = f"{run.kind} {run.mode or ''}".strip()
            print(clean(f"{run.id}  {what:<14}  removed {ago} ago  {run.name or ''}").rstrip())


def _as_data(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "mode": run.mode,
        "parent": run.parent,
        "removed": removed_at(run),
        "path": str(run.path),
    }


def restore(trash: Trash, words: Sequence[str]) -> None:
    """Move runs back from the trash, each with its children."""
    for word in words:
        for run in trash.restore(word):
            say(f"restored {run.id}")


def empty(trash: Trash, *, yes: bool) -> None:
    """Delete all runs of the trash for good."""
    count = len(trash.runs())
    runs = run_count(count)
    if count:
        _confirm(f"Delete {runs} for good?", "trash empty", yes=yes)
    trash.empty()
    say(f"deleted {runs}")
