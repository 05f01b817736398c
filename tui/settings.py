"""The settings: a small TOML file; every entry is optional.

theme = "advtui-light"    # also advtui-dark, advtui-plain, and Textual's own
bell = true               # ring when a run ends that is not on the screen
osc9 = true               # a desktop notification, where the terminal supports OSC 9
on_end = "…"              # a command that a worker runs when a run has ended (runs.on_end)
umask = "027"             # who may read new files of a home (runs.permissions)
[slurm]                   # defaults of --launcher slurm (tui.slurm_flags)
partition = "gpu"
[keys]
"runs.new" = "ctrl+n"     # the help (?) lists the ids
"""

from dataclasses import dataclass, field
from pathlib import Path

from runs.settings_file import settings_path

_TYPES = {
    **dict.fromkeys(("theme", "on_end", "umask"), str),
    **dict.fromkeys(("bell", "osc9"), bool),
    **dict.fromkeys(("slurm", "keys"), dict),
}


@dataclass(frozen=True)
class Settings:
    """The settings in the file; ``problem`` names the entries that could not be used."""

    theme: str = "advtui-dark"
    bell: bool = False
    osc9: bool = False
    keys: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    on_end: str = ""
    """Read by workers; see :mod:`runs.on_end`."""
    umask: str = ""
    """Read by workers and commands; see :mod:`runs.permissions`."""
    slurm: dict[str, object] = field(default_factory=dict)
    """Read by commands and the form; see :mod:`tui.slurm_flags`."""


def read_settings(path: Path | None = None) -> Settings:
    """The settings; defaults where the file is absent or a value has the wrong type."""
    path = path or settings_path()
    if not path.exists():
        return Settings()
    import tomllib

    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        return Settings(problem=f"{path}: {error}")
    wrong: list[str] = []
    values: dict[str, object] = {}
    for key, type_ in _TYPES.items():
        if key in entries:
            value = entries.pop(key)
            if isinstance(value, type_):
                values[key] = value
            else:
                wrong.append(f"{key} = {value!r}")
    wrong += [f"unknown setting {key!r}" for key in entries]
    keys = values.get("keys", {})
    assert isinstance(keys, dict)
    wrong += [
        f"keys.{key} = {value!r}" for key, value in keys.items() if not isinstance(value, str)
    ]
    values["keys"] = {key: value for key, value in keys.items() if isinstance(value, str)}
    return Settings(
        **values,  # type: ignore[arg-type]
        problem=f"{path}: {'; '.join(wrong)}" if wrong else "",
    )
