"""The help of the ``advtui`` command."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from runs import attacks, presets
from runs.spec import ROBUST_RECIPES, DataName, Recipe
from runs.threat_model import TargetRule
from tui.cli import GROUPS, app
from tui.commands.launch import study, train
from tui.commands.options import complete_run


def help_of(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    return result.stdout


def test_the_help_shows_every_sentence_in_full_within_80_columns() -> None:
    text = help_of()

    assert "..." not in text.replace("[ARGS]...", "")
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_lists_the_commands_in_groups() -> None:
    sections: dict[str, list[str]] = {}
    for line in help_of().splitlines():
        if heading := re.fullmatch(r"(\w+):", line):
            sections[heading[1]] = []
        elif sections and (row := re.match(r"  (\w+) +\S", line)):
            sections[list(sections)[-1]].append(row[1])
    del sections["Options"]

    assert sections == {
        "Make": ["study", "train", "attack", "sweep", "resume"],
        "Look": [
            "runs",
            "show",
            "watch",
            "logs",
            "compare",
            "classes",
            "examples",
            "report",
            "figures",
            "verify",
        ],
        "Manage": ["stop", "tag", "rm", "trash", "export", "import", "mirror", "doctor"],
    }


def test_the_shell_completes_the_end_of_an_id_and_prefers_a_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ("20261122-184001-robust-3f9a", "20261122-184002-baseline-2026")
    for run_id in ids:
        (tmp_path / "runs" / run_id).mkdir(parents=True)
    monkeypatch.setenv("ADVTUI_HOME", str(tmp_path))

    assert [word for word, _ in complete_run("3f9a")] == [ids[0]]
    assert [word for word, _ in complete_run("robust")] == [ids[0]]
    assert {word for word, _ in complete_run("2026")} == set(ids)
    assert complete_run("nothing") == []


def test_every_command_is_in_a_group() -> None:
    grouped = {function.__name__ for functions in GROUPS.values() for function in functions}
    registered = {
        command.callback.__name__ for command in app.registered_commands if command.callback
    }

    assert registered == grouped


@pytest.mark.parametrize("command", ["study", "train", "attack"])
def test_a_command_that_starts_runs_has_the_shared_options(command: str) -> None:
    text = help_of(command)

    for option in ("--preset", "--eps", "--step-size", "--device", "--set", "--json", "--home"):
        assert f"  {option}" in text


@pytest.mark.parametrize("command", [study, train])
def test_a_shared_option_that_is_left_out_is_none_or_false(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(
        "tui.commands.multi_seed.launch_each", lambda *words, **flags: calls.append((words, flags))
    )
    command(preset="demo", epochs=3)

    ((_, seeds, home, tags), flags) = calls[0]
    assert (seeds, home, tags) == (None, None, None)
    assert flags == {"detach": False, "as_json": False, "logs": ()}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("study", ROBUST_RECIPES),
        ("train", get_args(Recipe)),
        ("study", presets.NAMES),
        ("attack", attacks.NAMES),
        ("attack", get_args(TargetRule)),
        ("train", get_args(DataName)),
    ],
    ids=["recipes of a study", "recipes", "presets", "attacks", "target rules", "data sets"],
)
def test_the_help_of_a_choice_names_all_of_it(command: str, names: Iterable[str]) -> None:
    text = re.sub(r"-\n +", "-", help_of(command))  # a line may end within a name
    words = re.findall(r"[\w-]+", text)

    assert set(names) <= set(words)
