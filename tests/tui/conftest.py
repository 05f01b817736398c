"""A home with a run in every state, for the tests of the screens."""

from pathlib import Path

import pytest

from screen_driver import Home


@pytest.fixture
def fixed(home: Path) -> Home:
    """The fixed home, whose present is the real one."""
    return Home(home)
