"""The command that draws figures for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands import options as o


def figures(
    words: o.RunWords,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the figures.")
    ] = Path("figures"),
    format_: Annotated[str, typer.Option("--format", help="pdf, svg, pgf or png.")] = "pdf",
    home: o.Home = None,
) -> None:
    """Draw curves, table and ε-curve of runs for a paper.

    A figure is one column wide, with embedded fonts and colours that colour-blind readers can tell
    apart. It needs matplotlib: pip install 'advtui[figures]'.
    """
    from runs.errors import UserError
    from runs.figures import FORMATS, write_figures
    from tui.commands.plain_output import open_store

    if format_ not in FORMATS:
        raise UserError(f"unknown format {format_!r}: {', '.join(FORMATS)}")
    for path in write_figures(open_store(home), words, output, format_):
        print(path)
