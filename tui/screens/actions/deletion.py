"""Move runs to the trash, or delete their checkpoints alone."""

from collections.abc import Sequence
from pathlib import Path

from runs.run_state import LIVE
from runs.store import Run
from runs.trash import Trash, citing
from tui.render.text import megabytes
from tui.screens.actions.targets import LISTED, RunTargets, count
from tui.screens.dialogs import Pick


def delete(screen: RunTargets) -> None:
    """Ask, then remove the targets with their children; refuses where one of these is live."""
    runs = screen.targets
    store = screen.state.store
    families = {m.id: m for run in runs for m in store.family(run)}
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
    answers = [("runs", f"move {whole} to the trash")]
    checkpoint_bytes = sum(_size(member.path / "checkpoints") for member in families.values())
    if checkpoint_bytes:
        size = megabytes(checkpoint_bytes)
        answers.insert(0, ("checkpoints", f"delete {whose} checkpoints alone ({size})"))

    def answered(answer: str | None) -> None:
        if answer is not None:
            _delete(screen, runs, checkpoints_only=answer == "checkpoints")

    question = f"Delete {len(runs)} marked runs?" if several else "Delete this run?"
    cited = citing(store, list(families.values()))[:LISTED]
    refer = [f"{screen.named([run])} refers to {screen.named([to])}" for run, to in cited]
    screen.app.push_screen(Pick(question, answers, about=screen.listed(runs) + refer), answered)


def _delete(screen: RunTargets, runs: Sequence[Run], *, checkpoints_only: bool) -> None:
    names = {run.id: screen.named([run]) for run in runs}  # their rows are gone afterwards

    def act(run: Run) -> None:
        if not run.path.exists():  # a child is removed with its study
            return
        if checkpoints_only:
            screen.state.store.delete(run, checkpoints_only=True)
        else:
            Trash(screen.state.store).put(run)

    removed, problems = screen.each(runs, act)
    what = names[removed[0].id] if len(removed) == 1 else count(removed)
    told = f"moved {what} to the trash; T restores it"
    if checkpoints_only:
        told = f"deleted the checkpoints of {what}"
    screen.tell_done(told if removed else "", problems)
    if removed and not checkpoints_only:
        screen.after_delete()


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in folder.iterdir())
    except OSError:
        return 0
