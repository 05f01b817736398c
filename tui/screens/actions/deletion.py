"""Delete runs, or their checkpoints alone."""

from collections.abc import Sequence
from pathlib import Path

from runs.store import LIVE, Run
from tui.render.text import megabytes
from tui.screens.actions.targets import RunTargets, count
from tui.screens.dialogs import Pick


def delete(screen: RunTargets) -> None:
    """Ask, then delete the targets with their children; refuses where one of these is live."""
    runs = screen.targets
    store = screen.state.store
    families = {m.id: m for run in runs for m in (run, *store.children(run))}
    live = [member for member in families.values() if member.state() in LIVE]
    if live:
        listed = ", ".join(f"{screen.named([member])} is {member.state()}" for member in live[:5])
        screen.tell(f"{listed}: stop {'it' if len(live) == 1 else 'them'} first", "warning")
        return
    if not runs:
        return
    several = len(runs) > 1
    whose = "their" if several else "its"
    whole = f"all {count(runs)}" if several else "the whole run"
    if len(families) > len(runs):
        whole += f" with {whose} children"
    answers = [("runs", f"delete {whole}")]
    checkpoint_bytes = sum(_size(member.path / "checkpoints") for member in families.values())
    if checkpoint_bytes:
        size = megabytes(checkpoint_bytes)
        answers.insert(0, ("checkpoints", f"delete {whose} checkpoints alone ({size})"))

    def answered(answer: str | None) -> None:
        if answer is not None:
            _delete(screen, runs, checkpoints_only=answer == "checkpoints")

    question = f"Delete {len(runs)} marked runs?" if several else "Delete this run?"
    screen.app.push_screen(Pick(question, answers, about=screen.listed(runs)), answered)


def _delete(screen: RunTargets, runs: Sequence[Run], *, checkpoints_only: bool) -> None:
    names = {run.id: screen.named([run]) for run in runs}  # their rows are gone afterwards

    def act(run: Run) -> None:
        if run.path.exists():  # a child is deleted with its study
            screen.state.store.delete(run, checkpoints_only=checkpoints_only)

    deleted, problems = screen.each(runs, act)
    what = names[deleted[0].id] if len(deleted) == 1 else count(deleted)
    part = "the checkpoints of " if checkpoints_only else ""
    screen.tell_done(f"deleted {part}{what}" if deleted else "", problems)
    if deleted and not checkpoints_only:
        screen.after_delete()


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in folder.iterdir())
    except OSError:
        return 0
