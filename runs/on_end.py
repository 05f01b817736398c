"""A command of the user's that a worker runs when a run has ended: a mail, a message, a webhook.

It stands as ``on_end`` in the settings file.
"""

import os
import subprocess
from pathlib import Path

from runs.store import Run

LONGEST_S = 60.0
"""Seconds that the command may take."""


def settings_path() -> Path:
    """``$ADVTUI_CONFIG``, else ``advtui/config.toml`` in the user's configuration folder."""
    if named := os.environ.get("ADVTUI_CONFIG"):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("advtui", appauthor=False) / "config.toml"


def run_on_end(run: Run) -> str | None:
    """Run the command for a run that has ended; a sentence where it failed, else None.

    Its environment has ``ADVTUI_RUN_ID``, ``…_NAME``, ``…_KIND``, ``…_STATE``, ``…_FOLDER`` and
    ``…_ERROR``. It runs in a shell; its output goes where this process's goes. A study's children
    run none.
    """
    command = None if run.parent else _command(settings_path())
    if command is None:
        return None
    failure = run.failure
    facts = {
        "ID": run.id,
        "NAME": run.name or run.id,
        "KIND": run.kind,
        "STATE": run.state(),
        "FOLDER": str(run.path),
        "ERROR": failure["message"] if failure else "",
    }
    environment = {f"ADVTUI_RUN_{key}": value.replace("\0", "") for key, value in facts.items()}
    try:
        done = subprocess.run(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"on_end took longer than {LONGEST_S:.0f} s and was ended: {command}"
    except OSError as error:
        return f"on_end can't be run ({error.strerror}): {command}"
    return f"on_end ended with exit code {done.returncode}: {command}" if done.returncode else None


def _command(path: Path) -> str | None:
    """The setting; None where it is absent or no text."""
    import tomllib

    try:
        command = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("on_end")
    except (OSError, ValueError):
        return None
    return command if isinstance(command, str) and command.strip() else None
