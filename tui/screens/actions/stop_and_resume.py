"""Ask runs to stop at their next step, and start workers that resume runs."""

from collections.abc import Sequence

from runs.launch import carried_out_words, request_stop, start
from runs.run_state import LIVE
from runs.store import Run
from tui.render.silence_text import asked_words
from tui.screens.actions.targets import RunTargets, count, others
from tui.screens.dialogs import Choose

_LATER = "A training saves a checkpoint first; R resumes it later."


def stop(screen: RunTargets) -> None:
    """Ask, then request the live ones of the targets to stop."""
    runs = screen.targets
    live = [run for run in runs if run.state() in LIVE]
    if not live:
        if runs:
            screen.tell(f"{_all_are(runs)}: there is nothing to stop", "warning")
        return

    def answered(answer: str | None) -> None:
        if answer == "y":
            done, problems = screen.each(live, request_stop)
            step = "its next step" if len(done) == 1 else "their next step"
            asked = f"asked {screen.named(done)} to stop at {step}" if done else ""
            if len(done) == 1 and done[0].state() == "unresponsive":  # it stops when it wakes
                asked = asked_words(done[0], "unresponsive")
            screen.tell_done(asked, problems)

    question, about = f"Stop {screen.title_of(live[0])}  {live[0].id}?", [_LATER]
    if len(runs) > 1:
        question, about = f"Stop {count(live)}?", [*screen.listed(live), "", _LATER]
    if left := len(runs) - len(live):
        about.append(others(left, len(runs), "not live"))
    screen.app.push_screen(Choose(question, [("y", "stop")], about=about), answered)


def resume(screen: RunTargets) -> None:
    """Resume the target; of several targets, after a question, all that can be resumed."""
    runs = screen.targets
    resumable = [run for run in runs if _can_resume(run)]
    if not resumable:
        if len(runs) == 1 and runs[0].has_worker:
            screen.tell(carried_out_words(runs[0]), "warning")
        elif runs:
            screen.tell(f"{_all_are(runs)}: there is nothing to resume", "warning")
        return
    if len(runs) == 1:
        _resume(screen, resumable)
        return
    ids = {run.id for run in resumable}
    resumable = [run for run in resumable if run.parent not in ids]  # a study resumes its children
    about = screen.listed(resumable)
    if left := len(runs) - len(resumable):
        about += ["", others(left, len(runs), "completed, at work, or resumed by a study")]
    question = f"Resume {count(resumable)}?"
    screen.app.push_screen(
        Choose(question, [("y", "resume")], about=about),
        lambda answer: _resume(screen, resumable) if answer == "y" else None,
    )


def _resume(screen: RunTargets, runs: Sequence[Run]) -> None:
    done, problems = screen.each(runs, lambda run: screen.state.adopt(start(run)))
    screen.tell_done(f"resuming {screen.named(done)}" if done else "", problems)


def _can_resume(run: Run) -> bool:
    state = run.state()
    return state != "completed" and not (state in LIVE and run.has_worker)


def _all_are(runs: Sequence[Run]) -> str:
    """``ID is completed``; of several runs ``the 3 marked runs are completed or failed``."""
    *states, last = sorted({run.state() for run in runs})
    words = f"{', '.join(states)} or {last}" if states else last
    if len(runs) == 1:
        return f"{runs[0].id} is {words}"
    return f"the {len(runs)} marked runs are {words}"
