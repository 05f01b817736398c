"""Start, follow and resume runs, from the first event to the exit code."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from runs.checks import check_request
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
from runs.events import EventReader, last_events
from runs.launch import (
    begin,
    carried_out_words,
    other_host,
    request_stop,
    start,
)
from runs.live_mirror import parse_places
from runs.lost_worker import why_no_result
from runs.result_types import Failure
from runs.run_state import ENDED, LIVE
from runs.slurm_queue import QUEUE
from runs.spec import AnySpec
from runs.store import Run, discard
from tui.commands.live_view import View, make_view
from tui.commands.output import print_result
from tui.commands.plain_output import open_store, say
from tui.render.log_lines import log_tail
from tui.render.queue_text import queued_words, slurm_place
from tui.render.silence_text import silence_of

POLL_S, JOB_POLL_S = 0.1, 0.5
"""Seconds between two looks at a run here, and at one in Slurm."""
SHARED_FILES_S = 8.0
"""Seconds after which what another machine wrote is seen here, and in which a job is requeued."""


def start_and_follow(
    spec: AnySpec,
    home: Path | None,
    tags: Sequence[str] | None,
    *,
    detach: bool,
    as_json: bool,
    logs: Sequence[str] = (),
) -> None:
    """Create a run, start its worker, and follow it to its end.

    ``logs``: loggers in which it is mirrored, with or without a folder.

    Raises:
        UserError: the worker refused the run before it started; the run is deleted.
        typer.Exit: with the run's exit code.
    """
    store = open_store(home)
    run, worker = begin(store, spec, tags or (), parse_places(logs, store.home))
    if worker is None and not as_json:
        say(f"{run.id} is {_job_words(run)}")
    if detach:
        print(run.id)
        say(f"follow it with: advtui watch {run.id}")
        return
    if worker is not None and not as_json:
        say(f"{run.id} (Ctrl-C stops it; advtui resume continues it)")
    code = _follow_started(run, worker, as_json=as_json)
    refusal = failure(run)
    if refusal and not run.was_started:
        store.delete(run)
        raise UserError(refusal["message"], exit_code=code)
    if code and not refusal and not _has_begun(run):
        reason = why_no_result(run, None if worker is None else worker.returncode)
        for member in reversed(store.family(run)):  # no job of them has left anything
            discard(member)
        raise UserError(reason, exit_code=code)
    finish(run, code, worker, as_json=as_json)


def resume_and_follow(
    word: str, home: Path | None, place: Mapping[str, object], *, detach: bool, as_json: bool
) -> None:
    """Start a worker for a run that did not complete, and follow it.

    ``place``: another device, number of devices or threads; see :meth:`runs.store.Run.set_place`.
    """
    run = open_store(home).find(word)
    state = run.state()
    if state == "completed":
        raise UserError(f"{run.id} is completed: there is nothing to resume")
    if state in LIVE and run.has_worker:
        raise UserError(f"{carried_out_words(run)}: follow it with advtui watch {run.id}")
    if state == "lost" and other_host(run):
        heard = silence_of(run, state, time.time())
        say(f"{run.id} was {heard}: make sure that no worker of it is left there")
    check_request(run.spec_at({**run.place, **place}), run.home)
    if place:
        run.set_place(place)
    worker = start(run)
    if detach:
        print(run.id)
        return
    if worker is None and not as_json:
        say(f"{run.id} is {_job_words(run)}")
    code = _follow_started(run, worker, as_json=as_json)
    finish(run, code, worker, as_json=as_json)


def _has_begun(run: Run) -> bool:
    """Whether its worker, or that of a child, has left any trace; its result is not looked at."""
    job = run.job
    children = [] if job is None else [Run(run.path.parent / child) for child in job.children]
    return any(last_events(member.events_path) for member in (run, *children))


def _job_words(run: Run) -> str:
    """``job 4711 of Slurm (Ctrl-C leaves it there; advtui stop takes it back)``."""
    job = run.job
    assert job is not None
    return f"job {job.job} of Slurm (Ctrl-C leaves it there; advtui stop {run.id} takes it back)"


def _follow_started(run: Run, worker: subprocess.Popen[bytes] | None, *, as_json: bool) -> int:
    """Follow a run that this process has started, to its end; its exit code.

    Raises:
        typer.Exit: Ctrl-C has left a job in Slurm, where it goes on.
    """
    try:
        return follow(run, worker, make_view(run, as_json=as_json))
    except KeyboardInterrupt:
        if worker is not None:
            raise
        say(f"detached; {run.id} continues")
        raise typer.Exit(0) from None


def watch_run(word: str, home: Path | None, *, as_json: bool) -> None:
    """Follow a run that another process started; Ctrl-C only detaches."""
    run = open_store(home).find(word)
    try:
        code = follow(run, None, make_view(run, as_json=as_json))
    except KeyboardInterrupt:
        say(f"detached; {run.id} continues")
        return
    finish(run, code, None, as_json=as_json)


def finish(run: Run, code: int, worker: subprocess.Popen[bytes] | None, *, as_json: bool) -> None:
    """Print the result of a run and exit with its exit code."""
    print_result(run, as_json=as_json)
    report_end(run, code, worker)
    raise typer.Exit(code)


def report_end(run: Run, code: int, worker: subprocess.Popen[bytes] | None) -> None:
    """Say on stderr why a run did not complete, and what to do."""
    error = failure(run)
    if code == EXIT_INTERRUPTED:
        say(f"{run.id} was interrupted; continue it with: advtui resume {run.id}")
    elif code:
        reason = f"failed: {error['message']}" if error else _unexplained(run, worker)
        say(f"advtui: {run.id} {reason}")
        for line in () if error else log_tail(run, 8):
            say(f"  {line}")
        say(f"more lines: advtui logs {run.id}; try again: advtui resume {run.id}")


def _unexplained(run: Run, worker: subprocess.Popen[bytes] | None) -> str:
    """What is known of a run without a result, whose worker here, if it had one, has ended."""
    if worker is None and other_host(run) is not None:
        heard = silence_of(run, "lost", time.time())
        return f"is lost: {heard}; whether its worker lives can be told only there"
    return f"failed: {why_no_result(run, None if worker is None else worker.returncode)}"


def failure(run: Run) -> Failure | None:
    """Why the run failed; None where it did not, or left no result."""
    result = run.result
    return result.get("error") if result else None


def follow(run: Run, worker: subprocess.Popen[bytes] | None, view: View) -> int:
    """Show the events of a run and its children until it ends; returns the exit code.

    With a ``worker``, Ctrl-C and SIGTERM ask it to stop, and a second signal raises
    KeyboardInterrupt; without a worker the first signal does.
    """
    with stopping([run] if worker else []) as asked:
        return show(run, worker, view, asked)


def show(
    run: Run, worker: subprocess.Popen[bytes] | None, view: View, asked: threading.Event
) -> int:
    """As :func:`follow`, within :func:`stopping`."""
    readers: dict[str, tuple[Run, EventReader]] = {}

    def add(member: Run) -> None:
        if member.id not in readers:
            readers[member.id] = (member, EventReader(member.events_path))

    add(run)
    in_slurm, told, ended_at = run.job is not None, "", 0.0
    with view:
        while True:
            ended = _ended(run, worker)  # before reading, so that no event is missed
            for child_id in run.job.children if in_slurm and run.job is not None else ():
                add(Run(run.path.parent / child_id))
            for member, reader in list(readers.values()):
                for event in reader.all_new():
                    view.event(member, event)
                    child = event.get("run")
                    if event["kind"] == "child" and child:
                        add(Run(run.path.parent / str(child)))
            if in_slurm and ended is None and (words := slurm_place(run)) != told:
                told = words
                if words and run.state() == "queued":
                    view.note(run, queued_words(words))
            view.refresh()
            if in_slurm and ended not in ("completed", "failed"):
                ended, ended_at = _ended_in_slurm(run, ended, ended_at)
            if ended is not None:
                return _exit_code(run, ended)
            if asked.is_set() and worker is None:
                raise KeyboardInterrupt
            time.sleep(JOB_POLL_S if in_slurm else POLL_S)


def _ended_in_slurm(run: Run, ended: str | None, since: float) -> tuple[str | None, float]:
    """The final state of a run without a better result than ``ended``, once its job has ended.

    A job that Slurm requeues seems to have ended for a moment, and a file server may show a result
    later than Slurm the end of the job: so it must have ended for :data:`SHARED_FILES_S`.

    Args:
        run: whose job is looked at.
        ended: its state by its files, None while it goes on.
        since: when its job was first seen to have ended, on the monotonic clock; 0: not yet.

    Returns:
        The state, None while it goes on; and the new ``since``.
    """
    job = run.job
    if job is None:
        return ended, 0.0
    if not QUEUE.state(job).has_ended:
        return None, 0.0
    since = since or time.monotonic()
    if time.monotonic() - since < SHARED_FILES_S:
        return None, since
    return ended or "lost", since


def _exit_code(run: Run, ended: str) -> int:
    if ended == "completed":
        return 0
    if ended == "interrupted":
        return EXIT_INTERRUPTED
    error = failure(run)
    return error.get("exit_code", EXIT_FAILED) if error else EXIT_FAILED


def _ended(run: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    """The final state of a run (``lost``: it has no result), or None while it is running."""
    result = run.result
    exited = worker.poll() is not None if worker else True
    state = str(result.get("state")) if exited and result else None
    # Another process may have begun a new attempt, which is about to delete the old result.
    is_resumed = worker is None and state != "completed" and run.has_worker
    if state in ENDED and not is_resumed:
        return state
    if worker is not None and exited:
        if run.has_worker:  # two workers were started at once
            raise UserError(f"{carried_out_words(run)}: follow it with advtui watch {run.id}")
        return "lost"
    if worker is None and run.state() == "lost":
        return "lost"
    return None


@contextmanager
def stopping(runs: Sequence[Run]) -> Iterator[threading.Event]:
    """SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 (Slurm's warnings) set the event and ask the incomplete
    runs of ``runs`` to stop.

    A second signal raises KeyboardInterrupt. SIGHUP keeps its default: it ends this process and
    none of the workers.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set() and runs:
            raise KeyboardInterrupt
        asked.set()
        unfinished = [run for run in runs if (run.raw_result or {}).get("state") != "completed"]
        for run in unfinished:
            request_stop(run)
        if unfinished:
            listed = ", ".join(run.id for run in unfinished)
            say(f"stopping {listed} at the next step; a second signal detaches at once")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
