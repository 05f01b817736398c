"""Every command answers in every locale: in UTF-8, else in plain words of what the locale has."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from command_in_process import advtui
from whole_home import READING, copy_home

from advtui_process import Command
from fixed_home import NOW
from real_terminal import Terminal
from tui.render.plain_ascii import in_encoding

WITHOUT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOCALES = {
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
    "ASCII": WITHOUT_UTF8,
    "latin-1": {**WITHOUT_UTF8, "PYTHONIOENCODING": "latin-1"},
    "UTF-8": {"LC_ALL": "C.UTF-8"},
}


@pytest.mark.parametrize("words", READING, ids=" ".join)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_reading_command_answers(tmp_path: Path, encoding: str, words: tuple[str, ...]) -> None:
    home = tmp_path / "home"
    ids = copy_home(home)
    told = [word.replace("RUN", ids["study"]).replace("PNG", str(home / "o.png")) for word in words]
    with mock.patch.object(time, "time", return_value=NOW):
        answer = advtui(home, *told, encoding=encoding)
        in_utf8 = advtui(home, *told)
    assert answer.code == (words[0] == "verify"), answer.stderr  # no real outcomes lie in this home
    assert answer.stderr == in_utf8.stderr
    assert answer.stdout.count("?") == in_utf8.stdout.count("?")
    assert answer.stdout.count("\n") == in_utf8.stdout.count("\n")
    if words[-1] in ("--json", "json"):
        assert json.loads(answer.stdout) == json.loads(in_utf8.stdout)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("✓ completed", "ok completed"),
        ("–", "-"),
        ("ε = 8/255", "eps = 8/255"),
        ("L∞ 8/255", "Linf 8/255"),
        ("━━━", "==="),
        ("a …", "a ..."),
        ("behind “night”", 'behind "night"'),
        ("cat → dog", "cat -> dog"),
        ("5× ±2", "5x +-2"),
        ("é", "e"),
        ("漢", "?"),
        ("✓ one   two\n✗ one    two", "ok one  two\nx one    two"),
    ],
)
def test_a_sign_has_a_plain_word_and_columns_stay(text: str, expected: str) -> None:
    assert in_encoding(text, "ascii") == expected


def test_what_the_encoding_has_stays() -> None:
    assert in_encoding("é ± ✓", "latin-1") == "é ± ok"
    assert in_encoding("é ± ✓ L∞", "utf-8") == "é ± ✓ L∞"


@pytest.mark.parametrize("locale", LOCALES)
def test_a_process_in_a_pipe(tmp_path: Path, locale: str) -> None:
    ids = copy_home(tmp_path)
    command = Command(tmp_path)
    done = subprocess.run(
        command.arguments("compare", ids["study"]),
        env={**command.env, **LOCALES[locale]},
        capture_output=True,
        check=True,
    )
    shown = done.stdout.decode("latin-1" if locale == "latin-1" else "utf-8")
    assert ("Linf" in shown) is (locale in ("ASCII", "latin-1"))
    assert ("L∞" in shown) is (locale not in ("ASCII", "latin-1"))
    assert done.stderr == b""


def test_the_screen_says_what_it_needs(tmp_path: Path) -> None:
    copy_home(tmp_path)
    terminal = Terminal(tmp_path, more_environment=WITHOUT_UTF8)
    try:
        terminal.wait_for("the screen needs a terminal with UTF-8", "LC_ALL=C.UTF-8")
        assert terminal.process.wait(timeout=20) == 2
    finally:
        terminal.kill()


def test_a_terminal_without_utf8_shows_the_list(tmp_path: Path) -> None:
    ids = copy_home(tmp_path)
    terminal = Terminal(tmp_path, "runs", more_environment=WITHOUT_UTF8)
    try:
        terminal.wait_for(ids["study"], "ok completed")
    finally:
        terminal.kill()


def test_a_name_in_utf8_reaches_the_files_of_a_home_in_any_locale(tmp_path: Path) -> None:
    ids = copy_home(tmp_path)
    command = Command(tmp_path)
    for locale, name in (("ASCII", "très bien"), ("latin-1", "数")):
        done = subprocess.run(
            command.arguments("tag", ids["study"], "--note", name),
            env={**command.env, **LOCALES[locale]},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        meta = json.loads((tmp_path / "runs" / ids["study"] / "meta.json").read_bytes())
        assert meta["note"] == name


def test_every_file_is_opened_with_an_encoding() -> None:
    """Python itself warns of each one that is not, in all modules that this process may import."""
    code = "import tui.app, tui.cli, tui.commands.show_run, runs.launch, engine.__main__"
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
