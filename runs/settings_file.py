"""The settings file, as workers and commands read single entries of it.

What the screen reads from it, and what is told about entries that can't be used, is in
:mod:`tui.settings`.
"""

import os
from pathlib import Path


def settings_path() -> Path:
    """``$ADVTUI_CONFIG``, else ``advtui/config.toml`` in the user's configuration folder."""
    if named := os.environ.get("ADVTUI_CONFIG"):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("advtui", appauthor=False) / "config.toml"


def text_setting(key: str) -> str | None:
    """The text that the settings file has for a key; None where it is absent, blank or no text."""
    try:
        content = settings_path().read_text(encoding="utf-8-sig")
        if key not in content:
            return None  # without the import of a parser: most files are short or absent
        import tomllib

        value = tomllib.loads(content).get(key)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, str) and value.strip() else None
