"""The command as scripts and people use it: output, exit codes, queue, stop, hang-up."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advtui_process import TINY, Command, Studied, result_of, wait_for
from runs.events import EventReader, EventWriter
from runs.presets import preset
from runs.store import Run, Store
from tui.commands.browse import logs, show

LONG = (
    *("train", "--mode", "robust", "--preset", "demo", "--threads", "1"),
    *("--epochs", "50", "--width", "4"),
)
"""A training that is still at work when the test has done with it."""


def only_run(home: Path) -> Run:
    (run,) = Store(home).runs()
    return run


def is_training(home: Path) -> bool:
    return any(
        event["kind"] == "progress"
        for run in Store(home).runs()
        for event in EventReader(run.events_path).new()
    )


def test_a_study_in_a_pipe_prints_a_line_an_epoch_and_the_table_without_escapes(
    studied: Studied,
) -> None:
    _, _, out, err = studied
    assert "\x1b" not in out + err
    for mode in ("baseline", "robust"):
        assert sum(line.startswith(f"{mode}  epoch") for line in err.splitlines()) == 2
    for row in ("Baseline", "Best clean", "Best robust"):
        assert row in out
    assert "ε = 32/255" in out
    assert "n = 40" in out


def test_counts_add_up(studied: Studied) -> None:
    _, study, _, _ = studied
    for row in result_of(study)["rows"]:
        for (cell,) in row["attacks"].values():
            assert cell["success_n"] == row["correct_k"]
            assert cell["robust_k"] + cell["success_k"] <= row["correct_k"]
        (untargeted,) = row["attacks"]["pgd-untargeted"]
        assert untargeted["robust_k"] + untargeted["success_k"] == row["correct_k"]


def test_the_panel_checks_a_study(studied: Studied) -> None:
    """What asks something of the attack alone passes even on networks that have hardly learned."""
    _, study, _, _ = studied
    verdicts = {check["check"]: check["verdict"] for check in result_of(study)["sanity"]}
    assert len(verdicts) == 20
    assert verdicts.pop("Square finds nothing beyond white-box attacks") == "skipped"
    assert set(verdicts.values()) <= {"pass", "warn", "fail"}
    assert {name for name, verdict in verdicts.items() if verdict == "pass"} >= {
        "model left as found",
        "model in eval mode",
        "the attack sees the accuracy that is counted",
        "same input, same logits",
        "perturbations within ε",
        "pixels in [0, 1]",
        "ε = 0 changes nothing",
    }


def test_runs_lists_the_study_with_its_children(studied: Studied) -> None:
    command, study, _, _ = studied
    rows = json.loads(command("runs", "--json").stdout)
    assert rows[0]["id"] == study.id
    assert rows[0]["name"] == "first look"
    assert rows[0]["tags"] == ["tiny"]
    assert [row["role"] for row in rows] == [None, "baseline", "robust", "attack"]
    assert {row["state"] for row in rows} == {"completed"}
    assert {row["parent"] for row in rows[1:]} == {study.id}
    assert 0 <= rows[1]["metrics"]["val_accuracy"] <= 1


@pytest.mark.parametrize("word", ["@1", "first look", "id"])
def test_compare_prints_the_same_table_in_every_format(studied: Studied, word: str) -> None:
    command, study, _, _ = studied
    word = study.id if word == "id" else word
    as_json = json.loads(command("compare", word, "--format", "json").stdout)
    assert study.raw_result is not None
    assert as_json["rows"] == study.raw_result["rows"]
    figure = f"{100 * as_json['rows'][0]['accuracy']:.2f}"
    for format_, start in (("markdown", "| model"), ("latex", "% needs"), ("table", "")):
        text = command("compare", word, "--format", format_).stdout
        assert text.startswith(start)
        assert figure in text
    assert command("compare", word, "--format", "csv").stdout.count("\n") == 1 + 3 * 2


@pytest.mark.slow
def test_attack_takes_the_threat_model_of_the_run_it_attacks(studied: Studied) -> None:
    command, study, _, _ = studied
    robust = next(r for r in Store(command.home).runs() if r.role == "robust")
    words = (f"{robust.id}:best_robust", "--attack", "pgd-untargeted", "--limit", "20", "--json")
    done = command("attack", *words, "--steps", "3", "--threads", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    (threat,) = result["threat_model"]["attacks"]
    assert (threat["eps"], threat["steps"]) == (32 / 255, 3)
    assert [row["checkpoint"] for row in result["rows"]] == ["best_robust"]
    assert Run(study.path.parent / result["run"]).path.joinpath("examples.npz").is_file()


def test_show_logs_tag_and_rm(studied: Studied) -> None:
    command, _, _, _ = studied
    made = command("train", "--mode", "baseline", *TINY, "--epochs", "1", "--name", "to be removed")
    assert made.returncode == 0, made.stderr
    assert "best_clean" in made.stdout
    assert command("tag", "@1", "a", "b", "--note", "see\x1b[31m").stdout.startswith("a b")
    shown = command("show", "@1")
    assert "a b" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(command("show", "@1", "--json").stdout)["spec"]["mode"] == "baseline"
    assert command("logs", "@1").returncode == 0
    assert command("rm", "to be removed", "--checkpoints", "--yes").returncode == 0
    assert json.loads(command("show", "@1", "--json").stdout)["checkpoints"] == {}
    assert command("rm", "to be removed", "--yes").returncode == 0
    assert command("show", "to be removed").returncode == 3


def test_what_a_run_and_its_children_told_is_kept(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(home)
    study = store.create(preset("demo"))
    child = store.create(preset("demo").child("robust"), parent=study.id, role="robust")
    plain = store.create(preset("demo").child("baseline"), parent=study.id, role="baseline")
    events = EventWriter(child.events_path)
    events.write("log", level="warning", message="out of memory: a batch goes in 2 parts")
    events.close()
    plain.log_path.write_text("a line of its own\n")
    show(study.id, home=home)
    assert "robust: out of memory: a batch goes in 2 parts" in capsys.readouterr().out
    logs(study.id, 50, home)
    head, told, other, line = capsys.readouterr().out.splitlines()
    assert head == f"robust  {child.id}"
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d:\d\d  out of memory: a batch goes in 2 parts", told)
    assert other == f"baseline  {plain.id}"
    assert line == "a line of its own"
    logs(child.id, 50, home)
    assert capsys.readouterr().out.splitlines() == [told]


@pytest.mark.slow
def test_two_runs_at_once_follow_one_another(advtui: Command) -> None:
    first = advtui(*LONG, "--detach").stdout.strip()
    one = Store(advtui.home).find(first)
    wait_for(lambda: one.was_started)
    second = advtui("train", "--mode", "baseline", *TINY, "--detach").stdout.strip()
    other = Store(advtui.home).find(second)
    wait_for(lambda: "queued" in other.events_path.read_text() if other.events_path.exists() else 0)
    wait_for(lambda: any(e["kind"] == "log" for e in EventReader(other.events_path).new()))
    assert (one.state(), other.state()) == ("running", "queued")
    assert advtui("rm", first, "--yes").returncode == 2

    assert advtui("stop", first).returncode == 0
    wait_for(lambda: other.result)
    assert (one.state(), other.state()) == ("interrupted", "completed")
    ended = EventReader(one.events_path).new()[-1]
    started = next(e for e in EventReader(other.events_path).new() if e["kind"] == "started")
    assert started["t"] >= ended["t"] - 1


def test_ctrl_c_stops_at_a_checkpoint_and_resume_goes_on(advtui: Command) -> None:
    following = advtui.start(*LONG, start_new_session=True)
    wait_for(lambda: is_training(advtui.home))
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=120)
    assert following.returncode == 130, err
    run = only_run(advtui.home)
    assert run.state() == "interrupted"
    assert run.checkpoint("last").is_file()
    assert f"advtui resume {run.id}" in err

    resumed = advtui.start("resume", "@1", start_new_session=True)
    wait_for(lambda: run.state() == "running")
    starts = [e for e in EventReader(run.events_path).new() if e["kind"] == "started"]
    assert starts[-1]["attempt"] == 2
    assert starts[-1]["resumed_from"] is not None
    assert starts[-1]["resumed_from"]["step"] > 0
    resumed.send_signal(signal.SIGTERM)
    assert resumed.wait(120) == 130


@pytest.mark.slow
def test_a_hung_up_terminal_leaves_the_run_going_and_watch_shows_it(advtui: Command) -> None:
    leader, follower = pty.openpty()
    less = ("--epochs", "4", "--width", "2", "--train-limit", "600", "--set", "val_per_class=3")
    words = advtui.arguments(*LONG[:-4], *less)
    following = subprocess.Popen(
        [sys.executable, "-P", "-c", _IN_A_TERMINAL, *words],
        env={**advtui.env, "TERM": "xterm-256color"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    while b"epoch 1/4" not in seen:  # the live view is at work
        seen += os.read(leader, 65536)
    os.close(leader)  # the terminal hangs up
    following.wait(60)

    run = only_run(advtui.home)
    assert run.state() == "running"
    watched = advtui("watch", "@1")
    assert watched.returncode == 0, watched.stderr
    assert run.state() == "completed"
    assert "epoch 4/4" in watched.stderr
    assert "best_robust" in watched.stdout


_IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
def test_a_closed_pipe_leaves_the_run_going(advtui: Command) -> None:
    words = ("train", "--mode", "baseline", *TINY, "--json")
    following = advtui.start(*words)
    assert following.stdout is not None
    following.stdout.readline()
    following.stdout.close()
    assert following.wait(120) == 0
    run = only_run(advtui.home)
    wait_for(lambda: run.result)
    assert run.state() == "completed"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("advtui stu", ["study"]),
        ("advtui study --pre", ["--preset", "--precision"]),
        ("advtui study --preset de", ["demo"]),
        ("advtui show first", ["first look"]),
    ],
)
def test_the_shell_completes_commands_options_presets_and_runs(
    studied: Studied, typed: str, offered: list[str]
) -> None:
    command, _, _, _ = studied
    asked = {
        **command.env,
        "_ADVTUI_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    code = "import sys; sys.argv = ['advtui']; from tui.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=asked, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split("\n")) - {""} == set(offered)
