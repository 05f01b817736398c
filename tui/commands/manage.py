"""Commands that change runs or check the machine: stop, tag, rm, trash, export, import, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands import options as o


def stop(
    words: o.RunWords,
    force: Annotated[
        bool, typer.Option("--force", help="End a worker that hangs: kill it after ten seconds.")
    ] = False,
    home: o.Home = None,
) -> None:
    """Ask runs to stop at their next step.

    A training saves a checkpoint first. advtui resume continues the runs, also after --force, which
    loses what came after the last checkpoint.
    """
    from runs.errors import UserError
    from runs.launch import end_by_force, other_host, request_stop
    from runs.run_state import LIVE
    from tui.commands.plain_output import open_store, say
    from tui.render.silence_text import asked_words

    store = open_store(home)
    runs = [store.find(word) for word in words]
    states = [run.state() for run in runs]
    for run, state in zip(runs, states, strict=True):
        if state not in LIVE:
            raise UserError(f"{run.id} is {state}: there is nothing to stop")
    for run, state in zip(runs, states, strict=True):
        if not force:
            request_stop(run)
            say(asked_words(run, state))
            continue
        if run.job is not None:
            from runs.submission import end_job

            done = f"{run.id} is interrupted: advtui resume hands it in again"
            say(done if end_job(run) else f"{run.id}: Slurm has not ended its job yet")
            continue
        children = [child for child in store.family(run)[1:] if child.state() in LIVE]
        without = end_by_force([run, *children])
        for member in (run, *children):
            if member not in without:
                say(f"{member.id} is {member.state()}: advtui resume continues it")
            else:
                host = other_host(member)
                where = f"it was last heard of on {host}" if host else "no process is its worker"
                say(f"{member.id} was not ended: {where}")


def tag(
    run: o.RunWord,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Tag to remove; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="A note; it replaces the old note.")] = None,
    home: o.Home = None,
) -> None:
    """Add tags or a note to a run, or print them."""
    from tui.commands.plain_output import open_store
    from tui.render.text import clean
    from tui.run_list.tag_edit import TagEdit

    tagged = open_store(home).find(run)
    edit = TagEdit(tuple(tags or ()), tuple(remove or ()))
    result = edit.applied(tagged.meta["tags"])
    if edit:
        tagged.set_meta(tags=result)
    if note is not None:
        tagged.set_meta(note=note)
    print(clean(" ".join(result)))
    if tagged.meta.get("note"):
        print(clean(tagged.meta["note"], 1000))


def rm(
    words: o.RunWords,
    yes: o.Yes = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Delete only the checkpoints, at once.")
    ] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete at once, not into the trash.")
    ] = False,
    home: o.Home = None,
) -> None:
    """Move runs to the trash; a study with its children.

    Refuses runs that are queued, running or unresponsive, and names the runs that refer to those
    removed. advtui trash lists, restores and empties the trash.
    """
    from tui.commands.plain_output import open_store
    from tui.commands.trash import remove

    remove(open_store(home), words, yes=yes, checkpoints_only=checkpoints, purge=purge)


def trash(
    action: Annotated[
        str, typer.Argument(metavar="list|restore|empty", help="What to do.")
    ] = "list",
    words: Annotated[
        list[str] | None, typer.Argument(metavar="RUN…", help="Runs of the trash to restore.")
    ] = None,
    yes: o.Yes = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """List the removed runs, restore some, or delete them all.

    advtui trash lists them; advtui trash restore RUN moves a run back with its children; advtui
    trash empty deletes them for good.
    """
    from runs.errors import UserError
    from runs.trash import Trash
    from tui.commands import trash as commands
    from tui.commands.plain_output import open_store

    place = Trash(open_store(home))
    if action == "list" and not words:
        commands.print_list(place, as_json=as_json)
    elif action == "restore" and words:
        commands.restore(place, words)
    elif action == "empty" and not words:
        commands.empty(place, yes=yes)
    else:
        raise UserError("advtui trash [list], advtui trash restore RUN…, or advtui trash empty")


def export(
    words: o.RunWords,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Archive to write: .tar.gz.")
    ],
    checkpoints: Annotated[
        str, typer.Option(help="Checkpoints to pack: best, all or none.")
    ] = "best",
    home: o.Home = None,
) -> None:
    """Pack runs into an archive, with all runs that they refer to.

    The archive holds specs, events, results, outcomes, examples and checkpoints, and always the
    checkpoints that a packed attack run has attacked. advtui import reads it.
    """
    from typing import get_args

    from runs.archive import Kept, export_runs
    from runs.errors import UserError
    from tui.commands.plain_output import open_store, say

    choices = get_args(Kept)
    if checkpoints not in choices:
        raise UserError(f"unknown checkpoints {checkpoints!r}: {', '.join(choices)}")
    store = open_store(home)
    packed = export_runs(store, [store.find(word) for word in words], output, checkpoints)  # type: ignore[arg-type]
    for run in packed:
        say(f"packed {run.kind} {run.id}")
    print(output)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of advtui export.")],
    home: o.Home = None,
) -> None:
    """Take over the runs of an archive, after checking every file.

    A run whose id exists in the home gets another id; the references between the runs follow.
    """
    from runs.archive import import_runs
    from tui.commands.plain_output import open_store, say

    for old, run in import_runs(open_store(home), file).items():
        if old != run.id:
            say(f"{old} exists: imported as {run.id}")
        print(run.id)


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
