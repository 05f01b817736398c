"""What was changed after a run has ended is named, whatever it is; what is sound is said so."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_in_process import advtui

from advtui_process import Studied
from runs.jsonfiles import write_json
from runs.outcomes import Outcomes
from runs.store import Run, Store
from runs.verification import verify, verify_all


@pytest.fixture
def copied(studied: Studied, tmp_path: Path) -> dict[str, Run]:
    """The runs of a finished study by role, in a home that the test may damage."""
    command, study, _, _ = studied
    home = tmp_path / "home"
    shutil.copytree(command.home, home)
    store = Store(home)
    family = {"study": store.find(study.id)}
    return {**family, **{str(child.role): child for child in store.children(family["study"])}}


def problems(copied: dict[str, Run]) -> list[str]:
    store = Store(copied["study"].home)
    return [problem for one in verify_all(store, [copied["study"]]) for problem in one.problems]


def test_a_finished_study_is_sound(copied: dict[str, Run]) -> None:
    store = Store(copied["study"].home)
    found = {one.run: one for one in verify_all(store, [copied["study"]])}
    assert [one.problems + one.unchecked for one in found.values()] == [[], [], [], []]
    assert "3 checkpoints" in found[copied["robust"].id].checked
    told = found[copied["attack"].id].checked
    assert "9 counts of its table" in told  # three rows: clean, targeted, untargeted
    assert "3 attacked checkpoints" in told
    assert "its table" in found[copied["study"].id].checked


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    write_json(path, value)


def better(result: Any) -> None:
    """A row that looks more robust than it was found to be."""
    for cell in result["rows"][1]["attacks"].values():
        cell["robust_k"] += 1


def change_outcomes(path: Path) -> None:
    outcomes = Outcomes.load(path)
    outcomes.clean["Baseline"] = np.roll(outcomes.clean["Baseline"], 1)
    outcomes.save(path)


DAMAGE: dict[str, tuple[Callable[[dict[str, Run]], object], str]] = {
    "a bit of a checkpoint": (
        lambda runs: flip(runs["robust"].checkpoint("last")),
        "last.ckpt differs from the file that was saved",
    ),
    "the checkpoint that was attacked": (
        lambda runs: flip(runs["baseline"].checkpoint("best_clean")),
        "is not the file that was attacked",
    ),
    "a checkpoint deleted": (
        lambda runs: runs["robust"].checkpoint("last").unlink(),
        "last.ckpt is missing",
    ),
    "a better table": (
        lambda runs: edit(runs["attack"].path / "result.json", better),
        "images robust under pgd-targeted in the table",
    ),
    "a better table of the study": (
        lambda runs: edit(runs["study"].path / "result.json", better),
        "its table is not that of its attack run",
    ),
    "a row left out": (
        lambda runs: edit(runs["attack"].path / "result.json", lambda r: r["rows"].pop()),
        "the table has no row Best robust",
    ),
    "other outcomes": (
        lambda runs: change_outcomes(runs["attack"].path / "outcomes.npz"),
        "Baseline: ",
    ),
    "no outcomes": (
        lambda runs: (runs["attack"].path / "outcomes.npz").unlink(),
        "its table can't be counted again",
    ),
    "damaged examples": (
        lambda runs: (runs["attack"].path / "examples.npz").write_bytes(b"PK"),
        "examples",
    ),
    "a child deleted": (
        lambda runs: shutil.rmtree(runs["baseline"].path),
        "which is not in this home",
    ),
    "a line of the events": (
        lambda runs: runs["robust"].events_path.write_bytes(
            runs["robust"].events_path.read_bytes().replace(b"{", b"(", 1)
        ),
        "events line 1 can't be read",
    ),
    "another epoch in the result": (
        lambda runs: edit(
            runs["robust"].path / "result.json",
            lambda result: result["checkpoints"]["last"].update(epoch=0),
        ),
        "result.json and the events differ about last.ckpt",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_was_changed_is_named(what: str, copied: dict[str, Run]) -> None:
    damage, sentence = DAMAGE[what]
    damage(copied)
    assert any(sentence in problem for problem in problems(copied)), problems(copied)


def test_a_run_whose_spec_is_gone_is_named(copied: dict[str, Run]) -> None:
    (copied["robust"].path / "spec.json").write_text("{")
    run = Run(copied["robust"].path)
    assert verify(Store(run.home), run).problems[0] == "spec.json can't be read"


def test_checkpoints_that_a_person_deleted_are_no_fault(copied: dict[str, Run]) -> None:
    shutil.rmtree(copied["robust"].path / "checkpoints")
    store = Store(copied["study"].home)
    found = {one.run: one for one in verify_all(store, [copied["study"]])}
    assert all(one.is_sound for one in found.values())
    assert found[copied["robust"].id].unchecked == ["its checkpoints were deleted"]
    assert f"{copied['robust'].id}:best_clean was deleted" in found[copied["attack"].id].unchecked


def test_the_command_says_it_in_lines_and_as_json(copied: dict[str, Run]) -> None:
    home, run = copied["study"].home, copied["robust"]
    sound = advtui(home, "verify", run.id)
    assert (sound.code, sound.stdout) == (0, f"{run.id}  sound: 3 checkpoints\n")
    flip(run.checkpoint("last"))
    found = advtui(home, "verify", run.id)
    assert found.code == 1
    assert found.stdout.splitlines() == [
        f"{run.id}  NOT SOUND; what agrees: 2 checkpoints",
        "  differs: last.ckpt differs from the file that was saved (SHA-256)",
    ]
    (data,) = json.loads(advtui(home, "verify", run.id, "--json").stdout)
    assert (data["sound"], len(data["problems"])) == (False, 1)


def test_a_run_at_work_is_refused(copied: dict[str, Run]) -> None:
    run = copied["robust"]
    (run.path / "result.json").unlink()
    lines = run.events_path.read_text().splitlines()
    lines.append(json.dumps({**json.loads(lines[-1]), "t": time.time()}))
    run.events_path.write_text("\n".join(lines) + "\n")
    answer = advtui(run.home, "verify", run.id)
    assert answer.code != 0
    assert "verify it when it has ended" in answer.stderr
