"""The wording of a run's place in the queue of its device."""

from runs.event_types import HeartbeatEvent
from runs.store import Run
from tui.render.text import clean


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``, ``21st``."""
    teens = number % 100 in (11, 12, 13)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(0 if teens else number % 10, "th")
    return f"{number}{ending}"


def place_text(run: Run, heartbeat: HeartbeatEvent | None) -> str:
    """``2nd, behind “night”`` for a run that waits for its device; empty for any other run."""
    if heartbeat is None or "place" not in heartbeat or heartbeat.get("phase") != "queued":
        return ""
    place = ordinal(heartbeat["place"])
    if "behind" not in heartbeat:
        return place
    before = Run(run.path.parent / heartbeat["behind"])
    title = before.name or f"{before.mode or before.kind} {before.id[-4:]}"
    return f"{place}, behind “{clean(title, 40)}”"


def queue_place(run: Run, state: str) -> str:
    """:func:`place_text` from the run's last heartbeat; empty unless ``state`` is queued."""
    return place_text(run, run.last_heartbeat) if state == "queued" else ""
