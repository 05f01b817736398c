"""The options that hand a run to Slurm, and their defaults in the settings file.

``[slurm]`` in the settings file holds defaults by the names of the spec's fields:
``partition = "gpu"``. Reads that file; prints nothing.
"""

import tomllib
from collections.abc import Mapping
from typing import Any

from runs.errors import UserError
from runs.settings_file import settings_path
from runs.slurm_options import Slurm

OPTIONS = tuple(name for name in Slurm.model_fields if name != "args")
"""Fields that have an option of their own; ``args`` has ``--slurm-arg``."""
SETTING = "slurm"


def with_slurm(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags in which ``launcher`` and its options have become the field ``slurm`` of a spec.

    Args:
        flags: the options that were used; ``launcher``, fields of Slurm and ``slurm_arg`` are
            replaced, all others stay.

    Raises:
        UserError: an unknown launcher, an option of Slurm without it, or settings that can't be
            read.
    """
    rest = {name: value for name, value in flags.items() if name not in (*OPTIONS, "slurm_arg")}
    asked = {name: flags[name] for name in OPTIONS if name in flags}
    if "slurm_arg" in flags:
        asked["args"] = list(flags["slurm_arg"])
    launcher = rest.pop("launcher", None)
    if launcher == "slurm":
        return {**rest, "slurm": {**slurm_defaults(), **asked}}
    if launcher not in (None, "here"):
        raise UserError(f"--launcher {launcher}: here or slurm")
    if asked:
        option = f"--{next(iter(asked)).replace('_', '-')}".replace("--args", "--slurm-arg")
        raise UserError(f"{option} is for jobs of Slurm: add --launcher slurm")
    return {**rest, "slurm": None} if launcher == "here" else rest


def slurm_defaults() -> dict[str, Any]:
    """The table ``[slurm]`` of the settings file; {} where there is none.

    Raises:
        UserError: it is no table, or can't be read.
    """
    path = settings_path()
    try:
        content = path.read_text(encoding="utf-8-sig")
        found = tomllib.loads(content).get(SETTING, {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"the settings file {path} can't be read: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{SETTING} in the settings file {path} is no table: write [{SETTING}]")
    if unknown := sorted(found.keys() - Slurm.model_fields.keys()):
        raise UserError(f"[{SETTING}] in the settings file {path} has no {unknown[0]!r}")
    return found
