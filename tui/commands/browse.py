"""Commands that read runs: runs, show, watch, logs, compare, classes, examples, verify."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands import options as o

if TYPE_CHECKING:
    from runs.store import Store


def runs(
    as_json: o.Json = False,
    limit: Annotated[
        int | None,
        typer.Option(help="Show only the newest N; children of a study are not counted."),
    ] = None,
    home: o.Home = None,
) -> None:
    """List the runs, newest first."""
    from tui.commands.plain_output import open_store, print_json, say
    from tui.render.run_table import RunList
    from tui.run_list.summary import summaries

    gc.disable()  # thousands of rows are made, and all of them are used
    store = open_store(home)
    rows = summaries(store, limit)
    if as_json:
        print_json(rows)
    elif rows and not sys.stdout.isatty():
        print("\n".join(RunList(rows).plain_lines()))
    elif rows:
        from tui.commands.output import stdout_console

        stdout_console().print(RunList(rows), end="")
    else:
        say(f"no runs in {store.home}; start a first run: advtui study --preset demo")


def show(run: o.RunWord, as_json: o.Json = False, home: o.Home = None) -> None:
    """Show a run's spec, state and result."""
    from tui.commands.plain_output import open_store, print_json
    from tui.commands.show_run import as_data, print_run

    store = open_store(home)
    shown = store.find(run)
    if as_json:
        print_json(as_data(store, shown))
    else:
        print_run(store, shown)


def watch(run: o.RunWord = "@1", as_json: o.Json = False, home: o.Home = None) -> None:
    """Follow a run until it ends; Ctrl-C only detaches."""
    from tui.commands.follow import watch_run

    watch_run(run, home, as_json=as_json)


def logs(
    run: o.RunWord = "@1",
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=1, help="Lines shown per source.")
    ] = 50,
    home: o.Home = None,
) -> None:
    """Print a run's notices, then the end of its worker's log.

    Notices are e.g. reports of exhausted memory and of overfitting. The logs of a study include
    those of its children.
    """
    from runs.snapshot import read_snapshot
    from tui.commands.plain_output import open_store
    from tui.render.log_lines import log_tail, notice_lines
    from tui.render.progress import label
    from tui.render.text import clean

    store = open_store(home)
    named = store.find(run)
    children = store.children(named)
    for member in (named, *children):
        notices = notice_lines(read_snapshot(member).notices)[-lines:]
        printed = notices + log_tail(member, lines)
        if printed and children:
            print(clean(f"{label(member)}  {member.id}"))
        for line in printed:
            print(line)


def compare(
    words: o.RunWords,
    format_: Annotated[
        str, typer.Option("--format", help="table, markdown, latex, csv or json.")
    ] = "table",
    mean: Annotated[
        bool,
        typer.Option(
            "--mean",
            help="One row for all seeds of a model: mean ± standard deviation. The runs may differ "
            "only in their seed.",
        ),
    ] = False,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Print the table of studies, attack runs, models, or a sweep."""
    from runs import formats, results, seed_formats, seeds
    from runs.errors import UserError
    from tui.commands.output import print_comparison, stdout_console
    from tui.commands.plain_output import open_store, print_formatted
    from tui.render.seed_table import mean_comparison

    spellings = {"md": "markdown", "tex": "latex"}
    wanted = "json" if as_json else spellings.get(format_.lower(), format_.lower())
    names = ("table", *(seed_formats.FORMATS if mean else formats.FORMATS))
    if wanted not in names:
        raise UserError(f"unknown format {format_!r}: there are {', '.join(names)}")
    store = open_store(home)
    if not mean and any(_is_sweep(store, word) for word in words):
        from tui.commands.sweep import print_sweep

        print_sweep(store, words, wanted)
    elif mean:
        means = seeds.mean_over_seeds(store, words)
        if wanted == "table":
            stdout_console().print(mean_comparison(means))
        else:
            print_formatted(seed_formats.FORMATS[wanted](means), wanted)
    else:
        table = results.compare(store, words)
        if wanted == "table":
            print_comparison(stdout_console(), table)
        else:
            print_formatted(formats.FORMATS[wanted](table), wanted)


def _is_sweep(store: "Store", word: str) -> bool:
    """Whether a word names a sweep; a word that names nothing is left to the comparison."""
    from runs.errors import NotFoundError

    try:
        return store.find(word).kind == "sweep"
    except NotFoundError:
        return False


def classes(
    run: o.RunWord,
    model: Annotated[
        str | None,
        o.row_option("the last row with this attack; with --json all rows"),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(
            help="Name of an attack of the table (default: the strongest on the row; with --json "
            "all)."
        ),
    ] = None,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Print accuracy and success rate per class, weakest class first.

    The last column lists the classes that the model predicts for images that the attack turns
    wrong. The table shows one model under one attack: by default the last row of the comparison
    table, under the attack that leaves the fewest of its images correct. --json prints all rows
    under all attacks, unless an option names one.
    """
    from tui.commands.per_image import show_classes

    show_classes(run, home, model, attack, as_json=as_json)


def examples(
    run: o.RunWord,
    model: o.Model = None,
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 1,
    png: Annotated[Path | None, typer.Option(help="Write the images to this PNG file.")] = None,
    home: o.Home = None,
) -> None:
    """Show adversarial images, or write them to a PNG file.

    Each image is shown clean, and for each attack as amplified perturbation and adversarial image.
    """
    from tui.commands.per_image import show_examples

    show_examples(run, home, model, count, png)


def verify(
    words: o.RunWords,
    as_json: o.Json = False,
    home: o.Home = None,
) -> None:
    """Compare runs with their record: checkpoints, tables, references.

    Each checkpoint is compared with the SHA-256 that was noted when it was saved, each table with a
    new count of the outcomes of single images. A study is verified with its children. Where
    something differs the exit code is 1.
    """
    from tui.commands.plain_output import open_store
    from tui.commands.verification import print_verification

    store = open_store(home)
    print_verification(store, [store.find(word) for word in words], as_json=as_json)
