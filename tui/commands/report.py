"""The command that writes a report to send."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tui.commands import options as o


def report(
    words: o.RunWords,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="HTML file to write; - for stdout."),
    ] = Path("report.html"),
    home: o.Home = None,
) -> None:
    """Write runs as one HTML file to send.

    It holds question, table, curves, pictures, sanity panel, recipe, environment and the commands
    to run it again. It needs no other file and no network. Several runs are compared in one report.
    """
    from tui.commands.plain_output import open_store
    from tui.report.document import report_html, write_report

    store = open_store(home)
    if str(output) == "-":
        sys.stdout.buffer.write(report_html(store, words).encode("utf-8", "replace"))
        return
    write_report(store, words, output)
    print(output)
