"""What ``advtui runs`` prints about runs."""

import json

from typer.testing import CliRunner

from screen_driver import Home
from tui.cli import app


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "140"})
    assert result.exit_code == 0
    return result.stdout


def line_of(run_id: str) -> str:
    (line,) = [line for line in printed("runs").splitlines() if run_id in line]
    return line


def test_runs_shows_the_figures_of_a_study_and_of_an_attack(fixed: Home) -> None:
    result = fixed.run("study").raw_result
    assert result is not None
    last = result["rows"][-1]
    robust = min(cell["robust_accuracy"] for cell in last["attacks"].values())
    for what in ("study", "attack"):
        line = line_of(fixed.ids[what])
        assert f"{100 * last['accuracy']:.1f}" in line
        assert f"{100 * robust:.1f}" in line


def test_runs_marks_the_figures_of_a_validation_split(fixed: Home) -> None:
    assert line_of(fixed.ids["robust"]).count("v") > line_of(fixed.ids["study"]).count("v")
    rows = {row["id"]: row for row in json.loads(printed("runs", "--json"))}
    assert rows[fixed.ids["robust"]]["figures"]["split"] == "validation"
    assert rows[fixed.ids["study"]]["figures"]["split"] == "test"
    nothing = {"clean": None, "robust": None, "split": None}
    assert rows[fixed.ids["queued"]]["figures"].items() >= nothing.items()
