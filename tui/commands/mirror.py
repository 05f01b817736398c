"""The command that mirrors runs in a logger."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands import options as o


def mirror(
    words: o.RunWords,
    to: Annotated[str, typer.Option("--to", help="tensorboard, mlflow, wandb or trackio.")],
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the logger (default: mirrors/ in the home)."),
    ] = None,
    home: o.Home = None,
) -> None:
    """Copy runs into TensorBoard, MLflow, W&B or trackio.

    Each run with its children: fields of the spec, curves with their times, figures of the table.
    Mirrored again, a run is brought up to date and is not there twice. Nothing leaves the machine.
    """
    from runs.mirror import default_folder, mirror_runs
    from runs.mirror_writers import opening
    from tui.commands.plain_output import open_store, say

    store = open_store(home)
    place = default_folder(store.home, to) if folder is None else folder.expanduser().absolute()
    for run in mirror_runs(store, words, to, place):
        say(f"mirrored {run.kind} {run.id}")
    print(place)
    say(f"open it with: {opening(to, place)}")
