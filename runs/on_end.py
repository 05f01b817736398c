"""A command of the user's that a worker runs when a run has ended: a mail, a message, a webhook.

It stands as ``on_end`` in the settings file.
"""

import os
import subprocess

from runs.permissions import users_umask
from runs.settings_file import text_setting
from runs.store import Run

LONGEST_S = 60.0
"""Seconds that the command may take."""


def run_on_end(run: Run) -> str | None:
    """Run the command for a run that has ended; a sentence where it failed, else None.

    Its environment has ``ADVTUI_RUN_ID``, ``…_NAME``, ``…_KIND``, ``…_STATE``, ``…_FOLDER`` and
    ``…_ERROR``. It runs in a shell; its output goes where this process's goes. A study's children
    run none.
    """
    command = None if run.parent else text_setting("on_end")
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
            umask=users_umask(),
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"on_end took longer than {LONGEST_S:.0f} s and was ended: {command}"
    except OSError as error:
        return f"on_end can't be run ({error.strerror}): {command}"
    return f"on_end ended with exit code {done.returncode}: {command}" if done.returncode else None
