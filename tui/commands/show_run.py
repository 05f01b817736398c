"""What ``advtui runs`` and ``advtui show`` print about runs."""

import json
import time
from typing import Any

from rich.console import Console
from rich.text import Text

from runs.damage import unreadable, words
from runs.errors import UserError
from runs.live_mirror import mirror_words
from runs.slurm_queue import QUEUE
from runs.snapshot import Snapshot, read_snapshot
from runs.store import Run, Store
from tui.commands.follow import failure
from tui.commands.output import print_result, stdout_console
from tui.render.checkpoint_table import state_text
from tui.render.progress import event_line, trains_on
from tui.render.queue_text import queue_place
from tui.render.silence_text import silence_of
from tui.render.text import clean, duration, speed
from tui.run_list.summary import durations_now, summary, warnings_about


def as_data(store: Store, run: Run) -> dict[str, Any]:
    """What ``advtui show --json`` prints."""
    snapshot = read_snapshot(run)
    return {
        **summary(run),
        "unreadable": unreadable(run),
        "path": str(run.path),
        "spec": run.raw_spec,
        "place": run.place,
        "checkpoints": {name: str(run.checkpoint(name)) for name in run.checkpoints()},
        "started": snapshot.started,
        "notices": snapshot.notices,
        "result": run.raw_result,
        "children": [child.id for child in store.children(run)],
    }


def print_run(store: Store, run: Run) -> None:
    """Print facts, device, notices, children, epochs, result and spec of a run."""
    console = stdout_console()
    snapshot = read_snapshot(run)
    children = store.children(run)
    _print_facts(console, run)
    if snapshot.started and (line := event_line(run, snapshot.started)):
        console.print(Text(clean(line, 500)))
    _print_notices(console, run, snapshot)
    for child in children:
        _print_notices(console, child, read_snapshot(child))
    for child in children:
        console.print(Text.assemble("  ", child.id, "  ", _described(child)))
    for event in snapshot.epochs:
        console.print(Text(clean(event_line(run, event))))
    print_result(run, as_json=False)
    _print_spec(console, run)


def _described(run: Run) -> Text:
    """The state of a run; with its place in the queue, or with its silence."""
    state = run.state()
    more = queue_place(run, state) or silence_of(run, state, time.time())
    return state_text(state, more, warned=bool(warnings_about(run, run.result)))


def _print_facts(console: Console, run: Run) -> None:
    result = run.result
    error = failure(run)
    worked, waited = durations_now(run, result, run.state())
    console.print(Text.assemble((run.id, "bold"), "  ", _described(run)))
    facts = {
        "name": run.name,
        "tags": " ".join(run.meta["tags"]) or None,
        "note": run.meta.get("note"),
        "folder": run.path,
        "took": duration(worked) if worked else None,
        "waited": duration(waited) if waited >= 1 else None,
        "speed": speed(result) if result else None,
        "error": error["message"] if error else None,
        "damage": "; ".join(words(unreadable(run))),
        "study": run.parent,
        "now on": ", ".join(f"{key} {value}" for key, value in run.place.items()),
        "job": _job_words(run),
        "mirror": mirror_words(run),
        "again": f"advtui {run.kind} --config {run.path / 'spec.json'}",
    }
    for key, value in facts.items():
        if value:
            console.print(Text.assemble((f"{key:>8}  ", "dim"), clean(value, 500)), soft_wrap=True)


def _job_words(run: Run) -> str | None:
    """Its job in Slurm, and what Slurm says of that; None of a run that works here."""
    job = run.job
    if job is None:
        return None
    state = QUEUE.state(job)
    told = f" ({state.reason})" if state.reason else ""
    return f"{job.job} of Slurm, {state.word.lower()}{told}"


def _print_notices(console: Console, run: Run, snapshot: Snapshot) -> None:
    for event in snapshot.notices:
        console.print(Text(clean(event_line(run, event), 500)), soft_wrap=True)


def _print_spec(console: Console, run: Run) -> None:
    console.print(Text("spec", style="bold"))
    problem = _problem_of_spec(run)
    if problem is not None:
        console.print(Text(clean(problem, 500)), soft_wrap=True)
    for key, value in run.raw_spec.items():
        if key in ("attack", "validation") and run.kind == "train" and problem is None:
            words = trains_on(run) if key == "attack" else getattr(run.spec, key).describe()
        elif key in ("run", "baseline", "robust", "attack", "attacks"):
            continue
        else:
            words = json.dumps(value, ensure_ascii=False)
        console.print(
            Text.assemble((f"{clean(key, 18):>18}  ", "dim"), clean(words)), soft_wrap=True
        )


def _problem_of_spec(run: Run) -> str | None:
    """Why a run can't be carried out again, as a sentence; None where its spec is valid."""
    if not run.raw_spec:
        return None  # spec.json is named as unreadable
    try:
        run.spec  # noqa: B018 - it validates
    except UserError as error:
        return f"spec.json is not valid: {error}"
    return None
