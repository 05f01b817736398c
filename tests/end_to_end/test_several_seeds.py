"""``--seeds`` as people use it: order, hang-up, stop, refusal, the table at the end."""

import json
import shutil
import signal
import statistics
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from advtui_process import TINY, Command, Studied, result_of, wait_for
from real_terminal import Terminal
from runs.errors import UserError
from runs.events import EventReader, EventWriter
from runs.jsonfiles import write_json
from runs.live_mirror import Place
from runs.presets import preset
from runs.spec import TrainSpec
from runs.store import Run, Store
from tui.commands.multi_seed import _conclude, launch_each

DEMO = preset("demo")
ROBUST = cast(TrainSpec, DEMO.child("robust"))
Started = tuple[Run, subprocess.Popen[bytes]]
STUDY = ("study", *TINY, "--limit", "40", "--reuse")
"""The ``studied`` one, whose trainings are used again where the seed is its own: 0."""


@pytest.fixture
def command(studied: Studied, tmp_path: Path) -> Command:
    """The command in a home that holds a tiny study of seed 0."""
    shutil.copytree(studied[0].home, tmp_path / "home")
    return Command(tmp_path / "home")


def started(run: Run) -> float:
    t: float = next(e["t"] for e in EventReader(run.events_path).new() if e["kind"] == "started")
    return t


def tagged(home: Path) -> list[Run]:
    """The runs of the seeds, the oldest first."""
    runs = reversed(Store(home).runs())
    return [run for run in runs if any(tag.startswith("seeds-") for tag in run.meta["tags"])]


@pytest.mark.slow
def test_studies_outlive_their_terminal_follow_one_another_and_end_in_one_table(
    command: Command,
) -> None:
    terminal = Terminal(command.home, *STUDY, "--seeds", "1,0", "--name", "X")
    terminal.wait_for("2 runs with the tag seeds-", "baseline  epoch 1/2")
    terminal.hang_up()  # while the first is at work and the second has not begun
    first, second = tagged(command.home)
    assert [first.state(), second.state()] == ["running", "queued"]
    assert not any(run.was_started for run in (second, *Store(command.home).children(second)))
    wait_for(lambda: second.result)
    assert [(r.state(), r.name, r.raw_spec["seed"]) for r in (first, second)] == [
        ("completed", "X seed 1", 1),
        ("completed", "X seed 0", 0),
    ]
    assert first.meta["tags"] == second.meta["tags"]
    assert started(second) > EventReader(first.events_path).new()[-1]["t"]

    # From the store: as computed by hand from the results.
    found = command("compare", "--mean", first.id, "X seed 0", "--format", "json")
    data = json.loads(found.stdout)
    assert data["seeds"] == data["evaluation_seeds"] == [0, 1]
    results = [result_of(second)["rows"], result_of(first)["rows"]]
    for mean, *rows in zip(data["rows"], *results, strict=True):
        assert mean["model"] == rows[0]["model"]
        check(mean["accuracy"], [row["accuracy"] for row in rows])
        for name, cell in mean["attacks"].items():
            for rate in ("success_rate", "robust_accuracy"):
                check(cell[rate], [row["attacks"][name][0][rate] for row in rows])

    # Once more, all of it made of what is there: the same table on stdout.
    told = command(*STUDY, "--seeds", "0,1")
    assert told.returncode == 0, told.stderr
    assert told.stdout == command("compare", "--mean", "@1", "@2").stdout
    assert "over 2 seeds: 0, 1" in told.stdout
    assert f"{100 * data['rows'][0]['accuracy']['mean']:.2f} ± " in told.stdout
    assert "ε = 32/255" in told.stdout


def check(figure: dict[str, Any], values: list[float]) -> None:
    assert figure["values"] == values
    assert figure["mean"] == pytest.approx(statistics.mean(values))
    assert figure["std"] == pytest.approx(statistics.stdev(values))
    assert figure["n_seeds"] == len(values)


@pytest.mark.slow
def test_trainings_of_several_seeds_side_by_side(
    advtui: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--seeds", "3,5", "--share", "--tag", "mine", "--json")
    done = advtui("train", "--mode", "baseline", *TINY, "--epochs", "1", *words)
    assert done.returncode == 0, done.stderr
    runs = tagged(advtui.home)
    assert [run.raw_spec["seed"] for run in runs] == [3, 5]
    assert started(runs[1]) < EventReader(runs[0].events_path).new()[-1]["t"]
    assert runs[0].meta["tags"][0] == "mine"

    *_, result, last = map(json.loads, done.stdout.splitlines())
    assert (result["run"], result["state"]) == (runs[1].id, "completed")
    assert last["tag"] == runs[0].meta["tags"][1]
    assert [(m["run"], m["state"]) for m in last["members"]] == [
        (run.id, "completed") for run in runs
    ]
    for name in ("best_clean", "best_robust"):
        values = [result_of(run)["checkpoints"][name]["value"] for run in runs]
        check(last[name], values)
    # The same for people.
    _conclude(Store(advtui.home), runs, last["tag"], as_json=False)
    told = capsys.readouterr().out
    assert all(run.id in told for run in runs)
    assert f"{100 * last['best_clean']['mean']:.2f} ± " in told


@pytest.mark.slow
def test_ctrl_c_stops_every_seed_also_those_that_wait(advtui: Command) -> None:
    long = ("train", "--preset", "demo", "--threads", "1", "--epochs", "50", "--width", "4")
    following = advtui.start(*long, "--seeds", "0,1,2", start_new_session=True)
    wait_for(lambda: len(tagged(advtui.home)) == 3)
    runs = tagged(advtui.home)
    wait_for(lambda: any(e["kind"] == "progress" for e in EventReader(runs[0].events_path).new()))
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=60)
    assert following.returncode == 130
    assert [run.state() for run in runs] == ["interrupted"] * 3
    assert [run.was_started for run in runs] == [True, False, False]
    for run in runs:
        assert f"advtui resume {run.id}" in err


def test_what_a_worker_refuses_leaves_nothing_of_any_seed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(store: Store, spec: TrainSpec, _tags: list[str], _mirrors: list[Place]) -> Started:
        """The first seed's worker refuses; the others' stop, as they are asked to."""
        run = store.create(spec)
        error = {"message": "there is no cuda:9", "exit_code": 3}
        result = {"state": "interrupted"} if spec.seed else {"state": "failed", "error": error}
        write_json(run.path / "result.json", result)
        return run, subprocess.Popen(["true"])

    monkeypatch.setattr("tui.commands.multi_seed.create_and_start", start)
    with pytest.raises(UserError, match="there is no cuda:9") as error:
        launch_each(ROBUST, (0, 1, 2), home, None, detach=False, as_json=False)
    assert error.value.exit_code == 3
    assert not Store(home).runs()


def test_the_first_failure_is_the_exit_code_and_the_table_is_over_the_others(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = {"epoch": 0, "step": 1}
    kept = {"best_clean": {**at, "value": 0.5}, "best_robust": {**at, "value": 0.25}}
    results = {
        0: {"state": "completed", "checkpoints": kept, "val_images": 9},
        1: {"state": "failed", "error": {"message": "out of memory", "exit_code": 1}},
        2: {"state": "interrupted"},
    }

    def start(store: Store, spec: TrainSpec, _tags: list[str], _mirrors: list[Place]) -> Started:
        run = store.create(spec)
        EventWriter(run.events_path).write("started", attempt=1)
        write_json(run.path / "result.json", results[spec.seed])
        return run, subprocess.Popen(["true"])

    monkeypatch.setattr("tui.commands.multi_seed.create_and_start", start)
    with pytest.raises(typer.Exit) as left:
        launch_each(ROBUST, (0, 1, 2), home, None, detach=False, as_json=False)
    assert left.value.exit_code == 1
    out, err = capsys.readouterr()
    assert "50.00 ± –" in out
    assert "failed: out of memory" in err
    assert "1 of 3 seeds completed; the table covers only these" in err


def test_when_a_worker_cannot_be_started_the_others_are_withdrawn(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def start(store: Store, spec: TrainSpec, _tags: list[str], _mirrors: list[Place]) -> Started:
        if spec.seed == 2:
            raise UserError("no space left")
        run = store.create(spec)
        started.append(run.raw_spec["seed"])
        write_json(run.path / "result.json", {"state": "interrupted"})
        return run, subprocess.Popen(["true"])

    monkeypatch.setattr("tui.commands.multi_seed.create_and_start", start)
    with pytest.raises(UserError, match="no space left"):
        launch_each(ROBUST, (0, 1, 2), home, None, detach=True, as_json=False)
    assert not Store(home).runs()
    assert started == [0, 1]  # in the order of the seeds, and so is their use of the device


@pytest.mark.parametrize("words", [("--seeds", "1,1"), ("--seeds", "1", "--seed", "2")])
@pytest.mark.parametrize("kind", ["study", "train"])
def test_wrong_seeds_are_refused_before_anything_is_made(
    advtui: Command, kind: str, words: tuple[str, ...]
) -> None:
    done = advtui(kind, "--preset", "demo", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("advtui: --seed")
    assert len(done.stderr.splitlines()) == 1
    assert not (advtui.home / "runs").exists()
