"""On a shared server nobody else reads a new home, unless the settings let the group do so."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtui_process import TINY, Command
from runs import permissions
from runs.jsonfiles import write_json
from runs.locks import FileLock
from runs.permissions import for_the_user, home_umask, protect_files, users_umask
from runs.store import Store
from tiny_training import tiny


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def process_umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose user lets everybody read; what the test changes is undone."""
    monkeypatch.setattr(permissions, "_users_umask", None)
    before = os.umask(0o022)
    yield
    os.umask(before)


def settings(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("ADVTUI_CONFIG", str(tmp_path / "config.toml"))


def test_command_and_worker_let_nobody_else_read_a_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    advtui = Command(home)
    done = advtui("train", *TINY, "--epochs", "1", umask=0o022)
    assert done.returncode == 0, done.stderr
    assert mode(home) == 0o700
    paths = list(home.rglob("*"))
    assert {path.suffix for path in paths} >= {".json", ".jsonl", ".log", ".ckpt"}
    assert {path: oct(mode(path)) for path in paths if mode(path) & 0o077} == {}
    archive = tmp_path / "run.tar.gz"
    assert advtui("export", "@1", "-o", str(archive), umask=0o022).returncode == 0
    assert mode(archive) == 0o644  # a file of the user's, made to be passed on


@pytest.mark.usefixtures("process_umask")
@pytest.mark.parametrize(
    ("umask", "folder", "file"), [("027", 0o750, 0o640), ("007", 0o770, 0o660)]
)
def test_the_settings_let_the_group_in(
    umask: str, folder: int, file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(f'umask = "{umask}"\n', tmp_path, monkeypatch)
    protect_files()
    run = Store(tmp_path / "home").create(tiny())
    FileLock(run.lock_path).release()
    assert (mode(run.home), mode(run.path)) == (folder, folder)
    assert (mode(run.path / "spec.json"), mode(run.lock_path)) == (file, file)


@pytest.mark.usefixtures("process_umask")
def test_what_is_for_the_user_has_the_users_mode(tmp_path: Path) -> None:
    protect_files()
    protect_files()  # a second call still knows the user's
    assert users_umask() == 0o022
    with for_the_user():
        write_json(tmp_path / "mine.json", {})
    write_json(tmp_path / "of-the-home.json", {})
    assert mode(tmp_path / "mine.json") == 0o644
    assert mode(tmp_path / "of-the-home.json") == 0o600


@pytest.mark.parametrize("text", ["", "umask = 27", 'umask = "rwx"', 'umask = "777"', 'umask = "'])
def test_a_setting_that_is_no_umask_lets_nobody_in(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(text, tmp_path, monkeypatch)
    assert home_umask() == 0o077
