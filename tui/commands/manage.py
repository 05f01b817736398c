"""Commands that look at runs and manage them."""

from typing import Annotated

import typer

from tui.commands import options as o


def stop(words: o.RunWords, home: o.Home = None) -> None:
    """Ask runs to stop at their next checkpoint; advtui resume goes on with them."""
    from tui.commands.look import stop_runs

    stop_runs(words, home)


def tag(
    run: o.RunWord,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Tag to take away; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="A note; replaces the old one.")] = None,
    home: o.Home = None,
) -> None:
    """Add tags or a note to a run; without any, print what it has."""
    from tui.commands.look import tag_run

    tag_run(run, tags or [], remove or [], note, home)


def rm(
    words: o.RunWords,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Remove the checkpoints alone.")
    ] = False,
    home: o.Home = None,
) -> None:
    """Delete runs, studies with their children. Refuses what is queued or running."""
    from tui.commands.look import remove_runs

    remove_runs(words, home, yes=yes, checkpoints=checkpoints)


def doctor(
    bench: Annotated[
        bool,
        typer.Option("--bench", help="Instead: how fast this machine is, and each preset's time."),
    ] = False,
    device: o.Device = None,
    threads: o.Threads = None,
    data_dir: o.DataDir = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """What is here of Python, torch, GPUs, data and disk, and what to do about what is missing.

    --bench measures for half a minute: forward pass, forward pass with input gradient, training
    step, and from these how long each preset takes; --device and --threads go with it.
    """
    if bench:
        from tui.commands.bench import measure

        measure(device, threads, as_json=as_json)
        return
    from tui.commands.doctor import examine

    examine(home, data_dir, as_json=as_json)
