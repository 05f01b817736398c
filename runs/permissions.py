"""Who may read the files of a home: their owner alone, unless the settings file says otherwise.

``umask = "027"`` in the settings lets the owner's group read, ``umask = "007"`` also write. A umask
takes the permissions away that it names, as in the shell.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from runs.settings_file import text_setting

OWNER_ALONE = 0o077
"""New folders get the mode 0700, new files 0600."""
_users_umask: int | None = None


def protect_files() -> None:
    """Let this process create files with the umask of homes instead of the user's."""
    global _users_umask
    found = os.umask(home_umask())
    if _users_umask is None:
        _users_umask = found


def home_umask() -> int:
    """The umask of the settings file; :data:`OWNER_ALONE` where it has none that can be used."""
    try:
        umask = int(text_setting("umask") or "", 8)
    except ValueError:
        return OWNER_ALONE
    # The owner's own permissions can't be taken away: a home must stay usable.
    return umask if 0 <= umask <= OWNER_ALONE else OWNER_ALONE


def users_umask() -> int:
    """The umask that the user's shell gave this process: for what does not go into a home."""
    if _users_umask is not None:
        return _users_umask
    current = os.umask(OWNER_ALONE)  # it can't be asked without being set
    os.umask(current)
    return current


@contextmanager
def for_the_user() -> Iterator[None]:
    """Create files outside of homes, such as an archive, with the user's own umask."""
    before = os.umask(users_umask())
    try:
        yield
    finally:
        os.umask(before)
