"""The names of ``advtui``'s commands, and its options.

Imports Typer and nothing else at start: ``advtui --help`` answers at once.
"""

import os
from typing import Annotated

import typer

from tui.commands import browse, launch, manage
from tui.commands.options import Home

app = typer.Typer(
    name="advtui",
    rich_markup_mode=None,  # plain help, at once: Rich costs more than Typer itself
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("advtui"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    home: Home = None,
    debug: Annotated[  # noqa: ARG001 (main takes it, wherever it stands; here for the help)
        bool, typer.Option("--debug", help="Show tracebacks.")
    ] = False,
    version: Annotated[  # noqa: ARG001 (its callback does the work)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train, attack and compare image classifiers: an experiment manager for the terminal.

    Without a command it opens the screen. A first study: advtui study --preset demo
    """
    if home is not None:
        os.environ["ADVTUI_HOME"] = str(home.expanduser().absolute())
    if context.invoked_subcommand is None:
        from tui.app import open_app

        open_app(home)


for command in (
    *(launch.study, launch.train, launch.attack, launch.resume),
    *(browse.runs, browse.show, browse.watch, browse.logs, browse.compare),
    *(browse.classes, browse.examples),
    *(manage.stop, manage.tag, manage.rm, manage.doctor),
):
    app.command()(command)
