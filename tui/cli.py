"""The ``advtui`` command."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="advtui", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Terminal experiment manager for adversarial robustness."""


@app.command()
def study(
    preset: str = "cpu",
    data_dir: Annotated[Path | None, typer.Option()] = None,
    home: Annotated[Path | None, typer.Option()] = None,
    threads: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Baseline, robust, attacks, table."""
    from runs.launch import start_worker
    from runs.overrides import override
    from runs.presets import preset as named
    from runs.store import Store

    changes = {"data_dir": str(data_dir.absolute()) if data_dir else None, "threads": threads}
    run = Store(home).create(override(named(preset), changes))
    start_worker(run)
    print(run.id)


if __name__ == "__main__":
    app()
