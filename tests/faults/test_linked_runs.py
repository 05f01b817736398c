"""A run that is a link to a folder elsewhere: removing it removes the link alone."""

from pathlib import Path

import pytest
from command_in_process import advtui
from whole_home import copy_home


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, str, Path]:
    """A home, the id of the linked run in it, and the folder that the link leads to."""
    home, away = tmp_path / "home", tmp_path / "away"
    run = home / "runs" / copy_home(home)["attack"]
    run.rename(away)
    run.symlink_to(away)
    return home, run.name, away


def content(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_moved_restored_and_deleted_as_a_link(linked: tuple[Path, str, Path]) -> None:
    home, run_id, away = linked
    before = content(away)
    told = advtui(home, "rm", run_id, "--yes")
    assert told.code == 0, told
    assert f"the link {run_id} (not {away})" in told.stderr
    assert advtui(home, "trash", "restore", run_id).code == 0
    assert (home / "runs" / run_id).is_symlink()
    assert advtui(home, "rm", run_id, "--yes").code == 0
    assert advtui(home, "trash", "empty", "--yes").code == 0
    assert content(away) == before
    assert not (home / "trash" / run_id).is_symlink()


def test_it_is_purged_as_a_link(linked: tuple[Path, str, Path]) -> None:
    home, run_id, away = linked
    before = content(away)
    told = advtui(home, "rm", run_id, "--yes", "--purge")
    assert told.code == 0, told
    assert f"deleted the link {run_id} (not {away})" in told.stderr
    assert content(away) == before


def test_its_checkpoints_are_left_alone(linked: tuple[Path, str, Path]) -> None:
    home, run_id, away = linked
    (away / "checkpoints").mkdir()
    told = advtui(home, "rm", run_id, "--yes", "--checkpoints")
    assert told.code == 2
    assert "is a link" in told.stderr
    assert (away / "checkpoints").is_dir()
