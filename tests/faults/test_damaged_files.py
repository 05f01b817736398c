"""A run with damaged files hides no other run, hangs no command, and never shows a traceback."""

import json
import os
import random
from pathlib import Path

import pytest
from command_in_process import advtui, at_most
from whole_home import READING, copy_home

from damaged_files import FILES, damage
from one_process import carry_out
from runs.store import Run, Store
from tiny_training import tiny
from tui.run_list.row import read_row

HOMES, MORE_HOMES = 100, 500
LONGEST_S = 5.0
PROBLEMS = ("Traceback", "unexpected ", "can't be read: TypeError", "can't be read: ValueError")


def check(home: Path, seed: int) -> None:
    """Damage some files of some runs; every reading command must still answer."""
    rng = random.Random(seed)
    ids = copy_home(home)
    healthy = ids[rng.choice(["attack", "study"])]
    done = []
    for chosen in rng.sample(sorted(set(ids.values()) - {healthy}), rng.choice([1, 2, 5])):
        for name in rng.sample(FILES, rng.choice([1, 1, 2])):
            done.append(f"{chosen}: {damage(home / 'runs' / chosen / name, rng)}")
    damaged = done[0].partition(":")[0]
    commands = [READING[0], READING[1], *rng.sample(READING[2:], 3)]
    for words in commands:
        named = [{"RUN": damaged, "PNG": str(home / "p.png")}.get(word, word) for word in words]
        answer = advtui(home, *named, seconds=LONGEST_S)
        told = f"seed {seed}: {done}: {named}: {answer.code} {answer.stderr} {answer.stdout}"
        assert not any(problem in answer.stdout + answer.stderr for problem in PROBLEMS), told
        assert "\x1b]" not in answer.stdout, told
        if "json" in " ".join(words) and answer.code == 0:
            assert not any(name in answer.stdout for name in ("NaN", "Infinity")), told
            json.loads(answer.stdout)
        if words[0] == "runs":
            assert answer.code == 0, told
            assert healthy in answer.stdout, told
    for run in Store(home).runs():
        row = read_row(run)
        assert not any(problem in row.error for problem in PROBLEMS), f"{done}: {row.error}"


@pytest.mark.parametrize("part", range(4))
def test_a_damaged_run_hides_no_other(part: int, tmp_path: Path) -> None:
    for seed in range(part, HOMES, 4):
        check(tmp_path / "home", seed)


@pytest.mark.slow
def test_hundreds_of_homes_of_damaged_runs(tmp_path: Path) -> None:
    for seed in range(HOMES, MORE_HOMES):
        check(tmp_path / "home", seed)


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ids = copy_home(home)
    robust, attack = (home / "runs" / ids[name] for name in ("robust", "attack"))
    lines = (robust / "events.jsonl").read_text().splitlines(keepends=True)
    lines[16] = '{"v": 1, "t": "noon", "kind": "metric"}\n'
    lines[18] = "}\n"
    (robust / "events.jsonl").write_text("".join(lines))
    (attack / "result.json").unlink()
    os.mkfifo(attack / "result.json")
    assert json.loads(advtui(home, "show", robust.name, "--json").stdout)["unreadable"] == [
        "events line 17",
        "events line 19",
    ]
    told = "unreadable: events line 17, events line 19"
    assert told in advtui(home, "show", robust.name).stdout
    listed = json.loads(advtui(home, "runs", "--json").stdout)
    assert {row["id"]: row["warnings"] for row in listed}[attack.name][0] == (
        "unreadable: result.json"
    )
    assert read_row(Run(attack)).warnings[0] == "unreadable: result.json"


def test_an_id_in_a_file_never_leads_out_of_the_home(tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny())
    spec = json.loads((run.path / "spec.json").read_text())
    spec["run"]["parent"] = "../../elsewhere"
    (run.path / "spec.json").write_text(json.dumps(spec))
    assert Run(run.path).parent is None


@pytest.mark.parametrize("name", ["events.jsonl", "lock", "result.json", "launch.json"])
def test_a_worker_waits_for_no_pipe(name: str, tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(epochs=1))
    os.mkfifo(run.path / name)
    with at_most(30):
        code = carry_out(run)
    done = code == 0 if name.endswith(".json") else code != 0  # a result is written anew
    assert done, run.raw_result


@pytest.mark.parametrize("attempt", [None, "1", [], 10**400])
def test_a_worker_resumes_whatever_the_attempt_of_an_event(attempt: object, tmp_path: Path) -> None:
    run = Store(tmp_path).create(tiny(epochs=1))
    kinds = ("started", "heartbeat")
    events = [{"v": 1, "t": 1.8e9, "kind": kind, "attempt": attempt} for kind in kinds]
    run.events_path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert carry_out(run) == 0
    assert run.state() == "completed"


def test_an_event_at_no_time_is_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    robust = home / "runs" / copy_home(home)["robust"]
    with (robust / "events.jsonl").open("a") as stream:
        stream.write(f'{{"v": 1, "t": 1{"0" * 299}, "kind": "metric", "epoch": 1}}\n')
    for words in (("runs",), ("runs", "--json"), ("show", robust.name)):
        assert advtui(home, *words).code == 0
