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
    start_worker,
)
from runs.lost_worker import why_no_result
from runs.result_types import Failure
from runs.spec import AttackSpec, StudySpec, TrainSpec
from runs.store import ENDED, LIVE, Run, discard
from tui.commands.live_view import View, make_view
from tui.commands.output import print_result
from tui.commands.plain_output import open_store, say
from tui.render.log_lines import log_tail
from tui.render.silence_text import silence_of

POLL_S = 0.1


def start_and_follow(
    spec: TrainSpec | AttackSpec | StudySpec,
    home: Path | None,
    tags: Sequence[str] | None,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Create a run, start its worker, and follow it to its end.

    Raises:
        UserError: the worker refused the run before it started; the run is deleted.
        typer.Exit: with the run's exit code.
    """
    store = open_store(home)
    run, worker = begin(store, spec, tags or ())
    if detach:
        print(run.id)
        say(f"follow it with: advtui watch {run.id}")
        return
    if not as_json:
        say(f"{run.id} (Ctrl-C stops it; advtui resume continues it)")
    code = follow(run, worker, make_view(run, as_json=as_json))
    refusal = failure(run)
    if refusal and not run.was_started:
        store.delete(run)
        raise UserError(refusal["message"], exit_code=code)
    if code and not refusal and not last_events(run.events_path):  # it could not even begin
        discard(run)
        raise UserError(why_no_result(run, worker.returncode), exit_code=code)
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
    worker = start_worker(run)
    if detach:
        print(run.id)
        return
    code = follow(run, worker, make_view(run, as_json=as_json))
    finish(run, code, worker, as_json=as_json)


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
    readers: dict[str, tuple[Run, EventReader]] = {run.id: (run, EventReader(run.events_path))}
    with view:
        while True:
            ended = _ended(run, worker)  # before reading, so that no event is missed
            for member, reader in list(readers.values()):
                for event in reader.all_new():
                    view.event(member, event)
                    child = event.get("run")
                    if event["kind"] == "child" and child and child not in readers:
                        started = Run(run.path.parent / str(child))
                        readers[started.id] = (started, EventReader(started.events_path))
            view.refresh()
            if ended is not None:
                return _exit_code(run, ended)
            if asked.is_set() and worker is None:
                raise KeyboardInterrupt
            time.sleep(POLL_S)


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
