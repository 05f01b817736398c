"""The wording of a run that has no result and gives no sign of life."""

from runs.launch import other_host, worker_words
from runs.store import Run
from tui.render.text import clean, short_ago


def silent_worker(run: Run, state: str) -> str:
    """Who carries an unresponsive run out; of a lost one its host, unless that is this one."""
    if state == "unresponsive":
        return clean(worker_words(run))
    return clean(other_host(run) or "") if state == "lost" else ""


def silence(state: str, worker: str, last_sign: float, now: float) -> str:
    """``no sign of life for 55 s: process 4242 on gpu-7, since …``; of a lost run, whose worker may
    live on a host that can't be asked, ``last heard of on gpu-7 3 m ago``.

    Empty for any other state. ``worker`` is of :func:`silent_worker`, times are unix seconds.
    """
    age = short_ago(last_sign, now)
    if state == "unresponsive":
        return f"no sign of life for {age}: {worker}"
    if state == "lost":
        return f"last heard of{f' on {worker}' if worker else ''} {age} ago"
    return ""


def silence_of(run: Run, state: str, now: float) -> str:
    """:func:`silence` of a run, from its files."""
    return silence(state, silent_worker(run, state), run.last_sign, now)


def asked_words(run: Run, state: str) -> str:
    """What a request to stop a live run leads to, as a sentence."""
    if state != "unresponsive":
        return f"asked {run.id} to stop at its next step"
    who = clean(worker_words(run))
    return f"asked {run.id} to stop; it is unresponsive ({who}) and stops when it wakes"
