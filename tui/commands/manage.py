"""Commands that change runs or check the machine: stop, tag, rm, doctor."""

from typing import Annotated

import typer

from tui.commands import options as o


def stop(words: o.RunWords, home: o.Home = None) -> None:
    """Ask runs to stop at their next step.

    A training saves a checkpoint first. advtui resume continues the runs.
    """
    from runs.errors import UserError
    from runs.launch import request_stop
    from runs.store import LIVE
    from tui.commands.output import open_store, say
    from tui.render.silence_text import asked_words

    store = open_store(home)
    runs = [store.find(word) for word in words]
    states = [run.state() for run in runs]
    for run, state in zip(runs, states, strict=True):
        if state not in LIVE:
            raise UserError(f"{run.id} is {state}: there is nothing to stop")
    for run, state in zip(runs, states, strict=True):
        request_stop(run)
        say(asked_words(run, state))


def tag(
    run: o.RunWord,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Tag to remove; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="A note; it replaces the old note.")] = None,
    home: o.Home = None,
) -> None:
    """Add tags or a note to a run, or print them."""
    from runs.errors import UserError
    from tui.commands.output import open_store
    from tui.render.text import clean

    tagged = open_store(home).find(run)
    added, removed = tags or [], remove or []
    result = [word for word in dict.fromkeys([*tagged.meta["tags"], *added]) if word not in removed]
    try:
        if added or removed:
            tagged.set_meta(tags=result)
        if note is not None:
            tagged.set_meta(note=note)
    except OSError as error:
        raise UserError(f"{tagged.path} can't be written: {error.strerror}") from None
    print(clean(" ".join(result)))
    if tagged.meta.get("note"):
        print(clean(tagged.meta["note"], 1000))


def rm(
    words: o.RunWords,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Delete only the checkpoints.")
    ] = False,
    home: o.Home = None,
) -> None:
    """Delete runs; a study with its children.

    Refuses runs that are queued, running or unresponsive.
    """
    import sys

    from runs.errors import EXIT_INTERRUPTED
    from tui.commands.output import open_store, say

    store = open_store(home)
    runs = list({run.id: run for run in map(store.find, words)}.values())
    what = "the checkpoints of " if checkpoints else ""
    if not yes and sys.stdin.isatty():
        listed = ", ".join(run.id for run in runs)
        if not typer.confirm(f"Delete {what}{listed}?", err=True):
            raise typer.Exit(EXIT_INTERRUPTED)
    for run in runs:
        if run.path.exists():  # a child was deleted with its study
            store.delete(run, checkpoints_only=checkpoints)
        say(f"deleted {what}{run.id}")


def doctor(
    bench: Annotated[
        bool,
        typer.Option("--bench", help="Measure this machine's speed and each preset's time."),
    ] = False,
    device: o.Device = None,
    threads: o.Threads = None,
    data_dir: o.DataDir = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Check Python, torch, GPUs, data and disk; advise what to do.

    --bench takes half a minute. It measures the forward pass, the forward pass with input gradient
    and the training step, and estimates how long each preset takes. --device and --threads apply
    to --bench alone.
    """
    if bench:
        from tui.commands.bench import measure

        measure(device, threads, as_json=as_json)
        return
    from tui.commands.doctor import examine

    examine(home, data_dir, as_json=as_json)
