"""Start a run and follow it, follow a running one, resume one: the life of a command."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from runs.datasets import check_data
from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
from runs.events import EventReader
from runs.launch import begin, is_carried_out, request_stop, start_worker
from runs.spec import AttackSpec, StudySpec, TrainSpec
from runs.store import ENDED, LIVE, Run
from tui.commands.live_view import View, make_view
from tui.commands.output import open_store, print_result, say
from tui.render.log_lines import log_tail

POLL_S = 0.1


def launch(
    spec: TrainSpec | AttackSpec | StudySpec,
    home: Path | None,
    tags: Sequence[str] | None,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Create a run, start its worker, and follow it to its end.

    Raises:
        UserError: the worker refused before it started; nothing is left of the run.
        typer.Exit: with the run's exit code.
    """
    store = open_store(home)
    run, worker = begin(store, spec, tags or ())
    if detach:
        print(run.id)
        say(f"advtui watch {run.id} follows it")
        return
    if not as_json:
        say(f"{run.id} (Ctrl-C stops it at a checkpoint)")
    code = follow(run, worker, make_view(run, as_json=as_json))
    refusal = (run.result or {}).get("error")
    if refusal and not run.was_started:
        store.delete(run)
        raise UserError(refusal["message"], exit_code=code)
    finish(run, code, as_json=as_json)


def resume_run(word: str, home: Path | None, *, detach: bool, as_json: bool) -> None:
    """Start a worker on a run that has ended early, and follow it."""
    run = open_store(home).find(word)
    state = run.state()
    if state == "completed":
        raise UserError(f"{run.id} is completed: there is nothing to resume")
    if state in LIVE and is_carried_out(run):
        raise UserError(f"{run.id} is {state}: advtui watch {run.id} follows it")
    check_data(run.spec.data, run.home, run.spec.data_dir)
    worker = start_worker(run)
    if detach:
        print(run.id)
        return
    code = follow(run, worker, make_view(run, as_json=as_json))
    finish(run, code, as_json=as_json)


def watch_run(word: str, home: Path | None, *, as_json: bool) -> None:
    """Follow a run that somebody else started; Ctrl-C only detaches."""
    run = open_store(home).find(word)
    try:
        code = follow(run, None, make_view(run, as_json=as_json))
    except KeyboardInterrupt:
        say(f"detached; {run.id} goes on")
        return
    finish(run, code, as_json=as_json)


def finish(run: Run, code: int, *, as_json: bool) -> None:
    """Print what came of a run and leave with its exit code."""
    print_result(run, run.result or {}, as_json=as_json)
    tell_end(run, code)
    raise typer.Exit(code)


def tell_end(run: Run, code: int) -> None:
    """Say why a run has ended early, and what to do."""
    result = run.result or {}
    if code == EXIT_INTERRUPTED:
        say(f"{run.id} was interrupted: advtui resume {run.id} goes on with it")
    elif code:
        message = result.get("error", {}).get("message") or "its worker died without a word"
        say(f"advtui: {run.id} failed: {message}")
        for line in log_tail(run, 8) if "error" not in result else ():
            say(f"  {line}")
        say(f"advtui logs {run.id} shows more; advtui resume {run.id} tries again")


def follow(run: Run, worker: subprocess.Popen[bytes] | None, view: View) -> int:
    """Show a run's events, and those of its children, until it ends; returns the exit code.

    With a ``worker`` Ctrl-C and SIGTERM ask it to stop, and a second one leaves it; without, they
    raise KeyboardInterrupt.
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
            ended = _ended(run, worker)  # looked at before reading: no event is missed
            for member, reader in list(readers.values()):
                for event in reader.new():
                    view.event(member, event)
                    child = event.get("run")
                    if event["kind"] == "child" and child and child not in readers:
                        found = Run(run.path.parent / str(child))
                        readers[found.id] = (found, EventReader(found.events_path))
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
    return int((run.result or {}).get("error", {}).get("exit_code", EXIT_FAILED))


def _ended(run: Run, worker: subprocess.Popen[bytes] | None) -> str | None:
    result = run.result
    over = worker.poll() is not None if worker else True
    state = str(result.get("state")) if over and result else None
    # Without a worker of ours a new attempt may have begun, about to take the old result away.
    is_taken_up = worker is None and state != "completed" and is_carried_out(run)
    if state in ENDED and not is_taken_up:
        return state
    if worker is not None and over:
        return "lost"
    if worker is None and run.state() == "lost":
        return "lost"
    return None


@contextmanager
def stopping(runs: Sequence[Run]) -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event, and ask those of ``runs`` that are not completed to
    stop; a second one raises KeyboardInterrupt.

    SIGHUP keeps its default: it ends this process and no other.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set() and runs:
            raise KeyboardInterrupt
        asked.set()
        unfinished = [run for run in runs if (run.result or {}).get("state") != "completed"]
        for run in unfinished:
            request_stop(run)
        if unfinished:
            listed = ", ".join(run.id for run in unfinished)
            them = "it to itself" if len(unfinished) == 1 else "them to themselves"
            say(f"stopping {listed} at the next checkpoint; once more leaves {them}")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
