"""Commands that look at runs and manage them."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands import options as o


def runs(
    as_json: o.Json = False,
    limit: Annotated[
        int | None, typer.Option(help="Show the newest N only, studies with their children.")
    ] = None,
    home: o.Home = None,
) -> None:
    """List the runs, newest first."""
    from tui.commands.look import list_runs

    list_runs(home, limit, as_json=as_json)


def show(run: o.RunWord, as_json: o.Json = False, home: o.Home = None) -> None:
    """What a run was asked, how it stands, and what came of it."""
    from tui.commands.look import show_run

    show_run(run, home, as_json=as_json)


def watch(run: o.RunWord = "@1", as_json: o.Json = False, home: o.Home = None) -> None:
    """Follow a run that is at work; Ctrl-C only detaches."""
    from tui.commands.follow import watch_run

    watch_run(run, home, as_json=as_json)


def logs(
    run: o.RunWord = "@1",
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of either.")] = 50,
    home: o.Home = None,
) -> None:
    """What a run has told (memory that ran out, overfitting, …), then its worker's own output.

    Of a study also its children's.
    """
    from tui.commands.look import show_logs

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
    from tui.commands.look import compare_runs

    compare_runs(words, home, "json" if as_json else format_, mean=mean)


def classes(
    run: o.RunWord,
    model: Annotated[str | None, typer.Option(help="A row of the table, e.g. 'Baseline'.")] = None,
    attack: Annotated[str | None, typer.Option(help="An attack of the table.")] = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Where a model breaks: each class's accuracy and success rate, and what it becomes."""
    from tui.commands.per_image import show_classes

    show_classes(run, home, model, attack, as_json=as_json)


def examples(
    run: o.RunWord,
    model: Annotated[str | None, typer.Option(help="A row of the table, e.g. 'Baseline'.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Images.")] = 1,
    png: Annotated[Path | None, typer.Option(help="Write them into this file instead.")] = None,
    home: o.Home = None,
) -> None:
    """Adversarial pictures: clean, amplified perturbation, adversarial, under each attack."""
    from tui.commands.per_image import show_examples

    show_examples(run, home, model, count, png)
