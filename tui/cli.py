"""The ``advtui`` command: its name, options, commands and help.

Imports Typer and nothing else at start: ``advtui --help`` answers at once.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runs.permissions import protect_files
from tui.commands import browse, figures, launch, manage, mirror, report
from tui.commands.options import Home

GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Make": (launch.study, launch.train, launch.attack, launch.sweep, launch.resume),
    "Look": (
        *(browse.runs, browse.show, browse.watch, browse.logs, browse.compare),
        *(browse.classes, browse.examples, report.report, figures.figures, browse.verify),
    ),
    "Manage": (
        *(manage.stop, manage.tag, manage.rm, manage.trash),
        *(manage.export, manage.import_, mirror.mirror, manage.doctor),
    ),
}
"""Headings of the help, and the commands below each."""


def name_of(command: Callable[..., None]) -> str:
    """The name of a command: that of its function, where Python allows it as one."""
    return command.__name__.rstrip("_")


class GroupedCommands(TyperGroup):
    """Lists the commands in the help under the headings of ``GROUPS``, without Rich."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (as overridden)
        """Write the sections; ``formatter`` is Click's HelpFormatter, of Typer or of Click."""
        column = max(map(len, self.commands))
        limit = formatter.width - column - 4  # two spaces before the name and two behind it
        for heading, functions in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(column), self.commands[name].get_short_help_str(limit))
                        for name in map(name_of, functions)
                    ]
                )


app = typer.Typer(
    name="advtui",
    cls=GroupedCommands,
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
    debug: Annotated[  # noqa: ARG001 (main reads it from any position; this line is for the help)
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
    protect_files()
    if context.invoked_subcommand is None:
        from tui.app import open_app

        open_app(home)


for commands in GROUPS.values():
    for command in commands:
        app.command(name_of(command))(command)
