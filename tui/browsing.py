"""Commands that look at runs and manage them."""

from pathlib import Path
from typing import Annotated

import typer

from tui import options as o


def runs(
    as_json: o.Json = False,
    limit: Annotated[
        int | None, typer.Option(help="Show the newest N only, studies with their children.")
    ] = None,
    home: o.Home = None,
) -> None:
    """List the runs, newest first."""
    from tui.look import list_runs

    list_runs(home, limit, as_json=as_json)


def show(run: o.RunWord, as_json: o.Json = False, home: o.Home = None) -> None:
    """What a run was asked, how it stands, and what came of it."""
    from tui.look import show_run

    show_run(run, home, as_json=as_json)


def watch(run: o.RunWord = "@1", as_json: o.Json = False, home: o.Home = None) -> None:
    """Follow a run that is at work; Ctrl-C only detaches."""
    from tui.session import watch_run

    watch_run(run, home, as_json=as_json)


def logs(
    run: o.RunWord = "@1",
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of either.")] = 50,
    home: o.Home = None,
) -> None:
    """What a run has told (memory that ran out, overfitting, …), then its worker's own output.

    Of a study also its children's.
    """
    from tui.look import show_logs

    show_logs(run, home, lines)


def compare(
    words: o.RunWords,
    format_: Annotated[
        str, typer.Option("--format", help="table, markdown, latex, csv or json.")
    ] = "table",
    mean: Annotated[
        bool,
        typer.Option(
            "--mean",
            help="One row for all seeds of a model: mean ± standard deviation. Refuses runs that "
            "differ in more than their seed.",
        ),
    ] = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """The comparison table of studies, attack runs, or trained runs' latest attacks."""
    from tui.look import compare_runs

    compare_runs(words, home, "json" if as_json else format_, mean=mean)


def classes(
    run: o.RunWord,
    model: Annotated[str | None, typer.Option(help="A row of the table, e.g. 'Baseline'.")] = None,
    attack: Annotated[str | None, typer.Option(help="An attack of the table.")] = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Where a model breaks: each class's accuracy and success rate, and what it becomes."""
    from tui.evidence import show_classes

    show_classes(run, home, model, attack, as_json=as_json)


def examples(
    run: o.RunWord,
    model: Annotated[str | None, typer.Option(help="A row of the table, e.g. 'Baseline'.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Images.")] = 1,
    png: Annotated[Path | None, typer.Option(help="Write them into this file instead.")] = None,
    home: o.Home = None,
) -> None:
    """Adversarial pictures: clean, amplified perturbation, adversarial, under each attack."""
    from tui.evidence import show_examples

    show_examples(run, home, model, count, png)


def stop(words: o.RunWords, home: o.Home = None) -> None:
    """Ask runs to stop at their next checkpoint; advtui resume goes on with them."""
    from tui.look import stop_runs

    stop_runs(words, home)


def tag(
    run: o.RunWord,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Tag to take away; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="A note; replaces the old one.")] = None,
    home: o.Home = None,
) -> None:
    """Add tags or a note to a run; without any, print what it has."""
    from tui.look import tag_run

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
    from tui.look import remove_runs

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
        from tui.bench import measure

        measure(device, threads, as_json=as_json)
        return
    from tui.doctor import examine

    examine(home, data_dir, as_json=as_json)
