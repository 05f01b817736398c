"""The screen's small settings file."""

from pathlib import Path

import pytest

from runs.settings_file import settings_path
from tui.settings import Settings, read_settings


def test_absent_means_the_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml") == Settings()


def test_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        'theme = "advtui-light"\nbell = true\nosc9 = true\non_end = "x"\n[keys]\n"runs.new" = "a"\n'
    )
    assert read_settings(path) == Settings(
        "advtui-light", True, True, {"runs.new": "a"}, on_end="x"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("theme = 3\nbell = true\n", "theme = 3"),
        ("colour = 'red'\n", "unknown setting 'colour'"),
        ("theme = \n", "config.toml"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    found = read_settings(path)
    assert told in found.problem
    assert found.theme == "advtui-dark"


def test_the_path_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADVTUI_CONFIG", str(tmp_path / "mine.toml"))
    assert settings_path() == tmp_path / "mine.toml"
