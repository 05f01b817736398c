"""The line of a study's parts: on a recorded study, in every state of a child, at every width."""

from typing import Any

import pytest

from recorded_study import recorded, replayed
from runs.snapshot import Snapshot
from tui.render.palette import TERMINAL
from tui.render.study_strip import Part, study_parts, study_strip

SPEC = recorded()[0]
WIDTHS = (40, 50, 60, 80, 120)


def after(*events: Any) -> dict[str, Snapshot]:
    """The snapshots of a study after events, each with the role of its run."""
    snapshots = {role: Snapshot() for role in ("study", "baseline", "robust", "attack")}
    for role, event in events:
        told: Any = {"v": 1, "t": 1.0, **event}
        snapshots[role].apply(told)
    return snapshots


def child(role: str, state: str) -> Any:
    return "study", {"kind": "child", "run": role, "role": role, "state": state}


def training(role: str, epoch: int) -> Any:
    progress = {"task": "train", "epoch": epoch, "epochs": 30, "done": 1, "total": 9}
    return role, {"kind": "progress", **progress, "eta_s": 724.0}


STARTED = ("attack", {"kind": "started"})
PANEL = ("attack", {"kind": "progress", "task": "sanity", "done": 2, "total": 3, "eta_s": 4.0})


def attack(model: str, name: str, done: int) -> Any:
    event = {"kind": "attack", "model": model, "attack": name, "done": done, "total": 9}
    over: Any = {"cell": {"levels": []}} if done == 9 else {}
    return "attack", {**event, "successes": 0, "rate": 9.0, **over}


def plain(snapshots: dict[str, Snapshot], width: int) -> str:
    return study_strip(SPEC, snapshots["study"], snapshots, width, TERMINAL).plain


DONE = [child("baseline", "completed"), child("robust", "completed")]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], "baseline ─ robust ─ attacks ─ panel"),
        ([child("baseline", "queued")], "baseline ◌ ─ robust ─ attacks ─ panel"),
        ([child("baseline", "running")], "baseline … ─ robust ─ attacks ─ panel"),
        (
            [DONE[0], child("robust", "running"), training("robust", 8)],
            "baseline ✓ ─ robust 9/30 ─ attacks ─ panel",
        ),
        ([DONE[0], child("robust", "failed")], "baseline ✓ ─ robust ✗ ─ attacks ─ panel"),
        ([DONE[0], child("robust", "interrupted")], "baseline ✓ ─ robust ‖ ─ attacks ─ panel"),
        (
            [*DONE, child("attack", "running"), STARTED],
            "baseline ✓ ─ robust ✓ ─ attacks 1/6 ─ panel",
        ),
        (
            [
                *(*DONE, child("attack", "running"), STARTED),
                *(attack("Baseline", name, 9) for name in ("pgd-targeted", "pgd-untargeted")),
                attack("Best clean", "pgd-targeted", 4),
            ],
            "baseline ✓ ─ robust ✓ ─ attacks 3/6 ─ panel",
        ),
        (
            [*DONE, child("attack", "running"), STARTED, PANEL],
            "baseline ✓ ─ robust ✓ ─ attacks ✓ ─ panel 2 of 3",
        ),
        (
            [*DONE, child("attack", "failed"), STARTED, PANEL],
            "baseline ✓ ─ robust ✓ ─ attacks ✓ ─ panel ✗",
        ),
        (
            [*DONE, child("attack", "completed")],
            "baseline ✓ ─ robust ✓ ─ attacks ✓ ─ panel ✓",
        ),
    ],
)
def test_each_part_shows_its_state(events: list[Any], expected: str) -> None:
    parts, eta = plain(after(*events), 100).split("   ")
    assert parts == expected
    assert eta.startswith("study ETA ")


def test_each_part_has_the_style_of_its_state() -> None:
    events = (child("baseline", "completed"), child("robust", "running"), training("robust", 8))
    snapshots = after(*events)
    line = study_strip(SPEC, snapshots["study"], snapshots, 80, TERMINAL)
    assert not line.style
    styles = {line.plain[span.start : span.end]: span.style for span in line.spans}
    assert styles["✓"] == TERMINAL.good
    assert styles["robust 9/30"] == f"bold {TERMINAL.accent}"
    assert styles["panel"] == TERMINAL.dim
    assert "baseline" not in styles  # the terminal's own colour


def test_a_child_that_has_ended_is_not_at_work_until_the_study_says_so() -> None:
    ended = ("robust", {"kind": "ended", "state": "interrupted"})
    events = (child("robust", "running"), training("robust", 8), ended)
    snapshots = after(*events)
    assert study_parts(SPEC, snapshots["study"], snapshots)[1] == Part("robust", "interrupted")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_recorded_study_fits_with_its_whole_eta(width: int) -> None:
    for _, _, snapshots in replayed():
        line = plain(snapshots, width)
        assert len(line) <= width
        if snapshots["study"].ended is None:
            assert "ETA " in line
            at_work = [
                f"{part.name} {part.progress}"
                for part in study_parts(SPEC, snapshots["study"], snapshots)
                if part.state == "running"
            ]
            assert all(words in line for words in at_work)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (65, "baseline ✓ ─ robust 9/30 ─ attacks ─ panel   study ETA 12 m 04 s"),
        (60, "baseline ✓ ─ robust 9/30 ─ attacks ─ panel  ETA 12 m 04 s"),
        (51, "baseline ✓ robust 9/30 attacks panel  ETA 12 m 04 s"),
        (40, "✓ robust 9/30 · ·  ETA 12 m 04 s"),
        (30, "robust 9/30 ETA 12 m 04 s"),
        (14, "ETA 12 m 04 s"),
    ],
)
def test_the_names_go_before_the_eta(
    monkeypatch: pytest.MonkeyPatch, width: int, expected: str
) -> None:
    monkeypatch.setattr("tui.render.study_strip.left_s", lambda *_: 724.0)
    events = (child("baseline", "completed"), child("robust", "running"), training("robust", 8))
    assert plain(after(*events), width) == expected


def test_a_study_that_has_ended_has_no_eta() -> None:
    ended = ("study", {"kind": "ended", "state": "completed"})
    assert "ETA" not in plain(after(*DONE, child("attack", "completed"), ended), 40)


@pytest.mark.parametrize("spec", [{}, {"attack": 3}, {"attack": {"attacks": [1]}}])
def test_a_damaged_spec_leaves_the_parts(spec: Any) -> None:
    snapshots = after(*DONE, child("attack", "running"), STARTED)
    line = study_strip(spec, snapshots["study"], snapshots, 80, TERMINAL).plain
    assert line == "baseline ✓ ─ robust ✓ ─ attacks … ─ panel   study ETA –"
