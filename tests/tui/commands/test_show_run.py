"""What ``advtui runs`` prints about runs."""

import json

from typer.testing import CliRunner

from runs.events import EventWriter
from runs.jsonfiles import write_json
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


WARNING = "loss is 4.1e+08 in epoch 1, step 40: the training diverges"


def test_a_completed_run_with_a_warning_does_not_look_plainly_completed(fixed: Home) -> None:
    run = fixed.run("robust")
    before = line_of(run.id)
    assert "✓ completed " in before
    assert "!" not in before
    write_json(run.path / "result.json", {**(run.raw_result or {}), "warnings": [WARNING]})
    assert "✓ completed !" in line_of(run.id)
    rows = {row["id"]: row["warnings"] for row in json.loads(printed("runs", "--json"))}
    assert rows[run.id] == [WARNING]
    assert rows[fixed.ids["study"]] == []
    assert printed("show", run.id).startswith(f"{run.id}  ✓ completed !")


def test_a_run_at_work_shows_its_warnings_too(fixed: Home) -> None:
    run = fixed.run("running")
    events = EventWriter(run.events_path)
    events.write("log", level="warning", message=WARNING)
    events.close()
    assert "● running !" in line_of(run.id)
    assert f"! robust: {WARNING}" in printed("show", run.id)
