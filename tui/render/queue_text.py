"""The wording of a run's place in the queue of its device, or in that of Slurm."""

from runs.event_types import HeartbeatEvent
from runs.slurm_queue import QUEUE
from runs.store import Run
from tui.render.text import clean


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``, ``21st``."""
    teens = number % 100 in (11, 12, 13)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(0 if teens else number % 10, "th")
    return f"{number}{ending}"


def place_text(run: Run, heartbeat: HeartbeatEvent | None) -> str:
    """``2nd, behind “night”`` for a run that waits for its device, ``in Slurm (job 4711,
    Priority)`` for one that waits there; empty for any other run."""
    if in_slurm := slurm_place(run):
        return in_slurm
    if heartbeat is None or "place" not in heartbeat or heartbeat.get("phase") != "queued":
        return ""
    place = ordinal(heartbeat["place"])
    if "behind" not in heartbeat:
        return place
    before = Run(run.path.parent / heartbeat["behind"])
    title = before.name or f"{before.mode or before.kind} {before.id[-4:]}"
    return f"{place}, behind “{clean(title, 40)}”"


def slurm_place(run: Run) -> str:
    """``in Slurm (job 4711, Priority)`` for a run whose job waits there; empty for any other."""
    job = run.job
    if job is None:
        return ""
    state = QUEUE.state(job)
    if not state.is_known:
        return f"in Slurm (job {job.job}; Slurm does not answer)"
    if not state.is_waiting:
        return ""
    starts = f", starts {state.starts[5:16]}" if state.starts else ""
    return clean(f"in Slurm (job {job.job}, {state.reason or state.word}{starts})", 100)


def queued_words(place: str) -> str:
    """``queued``, with the place where it is known: ``queued in Slurm (…)``, ``queued, 2nd``."""
    if not place:
        return "queued"
    return f"queued {place}" if place.startswith("in ") else f"queued, {place}"


def queue_place(run: Run, state: str) -> str:
    """:func:`place_text` from the run's last heartbeat; empty unless ``state`` is queued."""
    return place_text(run, run.last_heartbeat) if state == "queued" else ""
