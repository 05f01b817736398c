"""The ``advtui`` command: its commands' names, and what every one of them ends with.

Imports Typer and nothing else at start: ``advtui --help`` answers at once.
"""

import os
import sys
from typing import Annotated

import typer

from tui import browsing, launching
from tui.options import Home

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
    *(launching.study, launching.train, launching.attack, launching.resume),
    *(browsing.runs, browsing.show, browsing.watch, browsing.logs, browsing.compare),
    *(browsing.stop, browsing.tag, browsing.rm, browsing.doctor),
):
    app.command()(command)


def main() -> int:
    """Run the command; every error ends in one sentence on stderr and a fitting exit code."""
    if "--debug" in sys.argv:  # wherever it stands, also behind the command
        sys.argv = [word for word in sys.argv if word != "--debug"]
        os.environ["ADVTUI_DEBUG"] = "1"
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit:
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":  # Typer's answer to a closed pipe
            return _reader_gone()
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("ADVTUI_DEBUG"):
            raise
        return _explain(error)


def _reader_gone() -> int:
    """Nobody reads on: be quiet. A run that was followed goes on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _explain(error: Exception) -> int:
    from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
    from tui.text import clean

    if isinstance(error, UserError):
        message, code = str(error), error.exit_code
    elif hasattr(error, "format_message"):  # a wrong option or argument, in Typer's words
        message, code = error.format_message(), int(getattr(error, "exit_code", 2))
    elif type(error).__name__ == "Abort":
        message, code = "aborted", EXIT_INTERRUPTED
    else:
        message = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        code = EXIT_FAILED
    print(f"advtui: {clean(message, 2000)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
