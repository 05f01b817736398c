"""What the looking and managing commands do with the store."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from runs import seed_formats
from runs.errors import EXIT_INTERRUPTED, UserError
from runs.formats import FORMATS
from runs.launch import request_stop
from runs.results import compare
from runs.seeds import mean_over_seeds
from runs.snapshot import read_snapshot
from runs.store import LIVE, Run
from tui.commands.output import open_store, print_comparison, print_result, say, stdout_console
from tui.render.log_lines import log_tail, notice_lines
from tui.render.progress import label, telling, trains_on
from tui.render.run_table import run_list, state_text
from tui.render.seed_table import mean_comparison
from tui.render.text import clean, duration, speed
from tui.run_list.row import last_metrics


def summary(run: Run) -> dict[str, Any]:
    """One run of ``advtui runs --json``."""
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "mode": run.mode,
        "state": run.state(),
        "created": run.created,
        "parent": run.parent,
        "role": run.role,
        "data": run.raw_spec.get("data"),
        "epochs": run.raw_spec.get("epochs"),
        "tags": run.meta["tags"],
        "note": run.meta.get("note"),
        "metrics": last_metrics(run),
    }


def list_runs(home: Path | None, limit: int | None, *, as_json: bool) -> None:
    store = open_store(home)
    every = store.runs()
    by_parent: dict[str | None, list[Run]] = {}
    for run in every:
        by_parent.setdefault(run.parent, []).append(run)
    there = {run.id for run in every}
    top = [run for run in every if run.parent not in there]
    shown = [
        member for run in top[:limit] for member in (run, *reversed(by_parent.get(run.id, [])))
    ]
    rows = [summary(run) for run in shown]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        stdout_console().print(run_list(rows))
    else:
        say(f"no runs in {store.home}; begin with: advtui study --preset demo")


def show_run(word: str, home: Path | None, *, as_json: bool) -> None:
    store = open_store(home)
    run = store.find(word)
    snapshot = read_snapshot(run)
    result = run.result or {}
    if as_json:
        whole = {
            **summary(run),
            "path": str(run.path),
            "spec": run.raw_spec,
            "checkpoints": {name: str(run.checkpoint(name)) for name in run.checkpoints()},
            "started": snapshot.started,
            "notices": snapshot.notices,
            "result": run.result,
            "children": [child.id for child in store.children(run)],
        }
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    console = stdout_console()
    console.print(Text.assemble((run.id, "bold"), "  ", state_text(run.state())))
    facts = {
        "name": run.name,
        "tags": " ".join(run.meta["tags"]) or None,
        "note": run.meta.get("note"),
        "folder": run.path,
        "took": duration(result["seconds"]) if "seconds" in result else None,
        "speed": speed(result),
        "error": result.get("error", {}).get("message"),
        "study": run.parent,
        "again": f"advtui {run.kind} --config {run.path / 'spec.json'}",
    }
    for key, value in facts.items():
        if value:
            console.print(Text.assemble((f"{key:>8}  ", "dim"), clean(value, 500)), soft_wrap=True)
    if snapshot.started and (line := telling(run, snapshot.started)):
        console.print(Text(clean(line, 500)))
    children = store.children(run)
    for member in (run, *children):
        notices = snapshot.notices if member is run else read_snapshot(member).notices
        for event in notices:
            console.print(Text(clean(telling(member, event), 500)), soft_wrap=True)
    for child in children:
        console.print(Text.assemble("  ", child.id, "  ", state_text(child.state())))
    for event in snapshot.epochs:
        console.print(Text(clean(telling(run, event))))
    print_result(run, result, as_json=False)
    console.print(Text("spec", style="bold"))
    for key, value in run.raw_spec.items():
        if key in ("attack", "validation") and run.kind == "train":
            told = trains_on(run) if key == "attack" else getattr(run.spec, key).describe()
        elif key in ("run", "baseline", "robust", "attack", "attacks"):
            continue
        else:
            told = json.dumps(value, ensure_ascii=False)
        console.print(Text.assemble((f"{key:>16}  ", "dim"), clean(told)), soft_wrap=True)


def show_logs(word: str, home: Path | None, lines: int) -> None:
    store = open_store(home)
    run = store.find(word)
    children = store.children(run)
    for member in (run, *children):
        told = notice_lines(read_snapshot(member).notices)[-lines:] + log_tail(member, lines)
        if told and children:
            print(clean(f"{label(member)}  {member.id}"))
        for line in told:
            print(line)


def compare_runs(words: Sequence[str], home: Path | None, format_: str, *, mean: bool) -> None:
    formats = seed_formats.FORMATS if mean else FORMATS
    if format_ not in ("table", *formats):
        raise UserError(f"unknown format {format_!r}: table, {', '.join(formats)}")
    data = (mean_over_seeds if mean else compare)(open_store(home), words)
    if format_ == "table":
        if mean:
            stdout_console().print(mean_comparison(data))
        else:
            print_comparison(stdout_console(), data)
    else:
        print(formats[format_](data), end="")


def stop_runs(words: Sequence[str], home: Path | None) -> None:
    store = open_store(home)
    found = [store.find(word) for word in words]
    for run in found:
        if run.state() not in LIVE:
            raise UserError(f"{run.id} is {run.state()}: there is nothing to stop")
    for run in found:
        request_stop(run)
        say(f"asked {run.id} to stop at its next checkpoint")


def tag_run(
    word: str, tags: Sequence[str], remove: Sequence[str], note: str | None, home: Path | None
) -> None:
    run = open_store(home).find(word)
    kept = [tag for tag in dict.fromkeys([*run.meta["tags"], *tags]) if tag not in remove]
    try:
        if tags or remove:
            run.set_meta(tags=kept)
        if note is not None:
            run.set_meta(note=note)
    except OSError as error:
        raise UserError(f"{run.path} can't be written: {error.strerror}") from None
    print(clean(" ".join(kept)))
    if run.meta.get("note"):
        print(clean(run.meta["note"], 1000))


def remove_runs(words: Sequence[str], home: Path | None, *, yes: bool, checkpoints: bool) -> None:
    store = open_store(home)
    found = list({run.id: run for run in map(store.find, words)}.values())
    what = "the checkpoints of " if checkpoints else ""
    if not yes and sys.stdin.isatty():
        listed = ", ".join(run.id for run in found)
        if not typer.confirm(f"Delete {what}{listed}?", err=True):
            raise typer.Exit(EXIT_INTERRUPTED)
    for run in found:
        if run.path.exists():  # else it went with its study
            store.delete(run, checkpoints_only=checkpoints)
        say(f"deleted {what}{run.id}")
