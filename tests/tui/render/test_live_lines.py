"""The lines of a run at work: they fit every terminal, and lose first what matters least."""

import re
from typing import Any, Literal

import pytest
from rich.text import Text

from recorded_attacks import RecordedAttack, recorded_attacks
from recorded_study import recorded, replayed
from runs.live_table import LiveTable
from runs.presets import preset
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, StudySpec, parse_spec
from runs.store import Run, Store
from tui.render.lines import Line
from tui.render.live_lines import Members, live_lines
from tui.render.palette import TERMINAL

STUDY, CURVE = recorded_attacks()
SIZES = [(60, 24), (80, 24), (80, 12), (80, 6), (120, 40), (200, 60), (60, 4), (40, 2), (40, 1)]


def text_of(line: Line) -> str:
    plain = line.plain if isinstance(line, Text) else "".join(part.text for part in line)
    return plain.rstrip()


def shown(run: Run, members: Members, size: tuple[int, int], table: Any = None) -> list[str]:
    """The lines as text; each fits the size."""
    lines = [text_of(line) for line in live_lines(run, members, table, size, 1e9, TERMINAL)]
    assert len(lines) <= size[1]
    assert all(len(line) <= size[0] for line in lines), lines
    return lines


def following(run: Run, *events: Any) -> Members:
    snapshot = Snapshot()
    for event in events:
        told: Any = {"v": 1, "t": 1.0, **event}
        snapshot.apply(told)
    return {run.id: (run, snapshot)}


def attack(done: int, total: int, successes: int, **fields: Any) -> Any:
    event = {"kind": "attack", "model": "Best robust", "attack": "pgd-untargeted", "rate": 123.4}
    return {**event, "done": done, "total": total, "successes": successes, **fields}


STARTED: Any = {"kind": "started", "device": "cpu"}
PROGRESS: Any = {
    "kind": "progress", "task": "train", "epoch": 1, "epochs": 30, "done": 5, "total": 10,
    "rate": 2.0, "eta_s": 20.0,
}  # fmt: skip


def epoch(number: int, clean: float | None, robust: float | None) -> Any:
    values = {"val_accuracy": clean, "val_robust_accuracy": robust, "seconds": 1.0}
    return {"kind": "metric", "every": "epoch", "epoch": number, "step": number, "values": values}


@pytest.fixture
def training(store: Store) -> Run:
    return store.create(preset("demo").child("robust"))


@pytest.fixture
def attacking(store: Store) -> Run:
    return store.create(STUDY.spec)


@pytest.mark.parametrize("size", SIZES)
def test_a_recorded_study_fits_at_every_moment(store: Store, size: tuple[int, int]) -> None:
    spec = parse_spec(recorded()[0])
    assert isinstance(spec, StudySpec)
    roles: tuple[Literal["baseline", "robust", "attack"], ...] = ("baseline", "robust", "attack")
    runs = {"study": store.create(spec)}
    runs |= {role: store.create(spec.child(role), parent="study", role=role) for role in roles}
    tables = LiveTable()
    for moment, (_, _, snapshots) in enumerate(replayed()):
        if moment % 5:
            continue
        members = {role: (runs[role], snapshots[role]) for role in runs}
        members = {runs["study"].id: members.pop("study"), **members}
        table = tables.of(runs["attack"], snapshots["attack"])
        lines = shown(runs["study"], members, size, table)
        if size[1] >= 2 and snapshots["study"].ended is None:
            assert re.search(r"ETA (–|\d.*[hms])$", lines[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("run", [STUDY, CURVE], ids=["study", "several-eps"])
def test_a_recorded_attack_run_fits_at_every_moment(
    store: Store, run: RecordedAttack, size: tuple[int, int]
) -> None:
    live, tables = store.create(run.spec), LiveTable()
    snapshot = Snapshot()
    for moment, event in enumerate(run.events):
        snapshot.apply(event)
        if moment % 5:
            continue
        table = tables.of(live, snapshot)
        lines = shown(live, {live.id: (live, snapshot)}, size, table)
        if size[0] >= 60:
            assert "…" not in "".join(lines).replace("  …", "")  # nothing is cut


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        ((120, 40), ["Best clean 62.78 57.7–67.6 … 34 % done · ·", "Best robust · · · · ·"]),
        ((80, 24), ["Best clean 62.78 … 34 % done · ·", "Best robust · · · · ·"]),
        ((80, 12), ["Best clean 62.78 … 34 % done · ·", "Best robust · · · · ·"]),
        ((60, 24), ["Best clean clean 62.78", "Targeted … 34 % done", "Untargeted · ·"]),
        ((80, 8), []),
    ],
)
def test_the_table_fills_where_the_height_allows(
    attacking: Run, size: tuple[int, int], rows: list[str]
) -> None:
    ends = [n for n, event in enumerate(STUDY.events) if "cell" in event]
    at_work = {**STUDY.events[ends[2]], "done": 34, "total": 100}
    del at_work["cell"]
    events = [*STUDY.events[: ends[1] + 1], at_work]
    members = following(attacking, *events)
    table: Any = LiveTable().of(attacking, members[attacking.id][1])
    table["rows"][1] |= {"accuracy": 0.6278, "accuracy_ci95": [0.577, 0.676]}
    lines = [" ".join(line.split()) for line in shown(attacking, members, size, table)]
    assert [row for row in rows if row not in lines] == []
    assert any("success %" in line for line in lines) == bool(rows)


def test_before_the_attacks_a_narrow_terminal_has_no_table(store: Store) -> None:
    study = store.create(preset("demo"))
    members, table = following(study), LiveTable().of(study, Snapshot())
    assert "success %" in "".join(shown(study, members, (80, 24), table))
    assert "success %" not in "".join(shown(study, members, (60, 24), table))


def test_an_attacks_bar_has_two_tones_and_keeps_its_eta(attacking: Run) -> None:
    members = following(attacking, STARTED, attack(5000, 10_000, 4000))
    _, wide, legend = shown(attacking, members, (80, 24))
    assert wide.endswith("4,000 of 10,000  123 img/s  ETA 41 s")
    assert wide.startswith("Best robust pgd-untargeted ━━━")
    bar = wide.removeprefix("Best robust pgd-untargeted ").split(" ")[0]
    assert re.fullmatch("━+─+╌+", bar)
    assert legend == "━ success  ─ none  ╌ to come"
    narrow = shown(attacking, members, (60, 24))[1]
    assert narrow.endswith("ETA 41 s")
    assert "Best robust pgd-untargeted ━" in narrow


def test_the_bars_use_a_wide_terminal(training: Run) -> None:
    for width, least in ((80, 40), (120, 75), (200, 95)):
        _, whole, part = shown(training, following(training, STARTED, PROGRESS), (width, 24))
        assert len(re.findall("[━╌]", whole)) >= least
        assert whole.endswith("ETA 20 s")
        assert part.endswith("2.0 batches/s")


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (120, ["val clean  ▁█  41.0 %   val robust █▁   3.2 %"]),
        (60, ["val clean  ▁█  41.0 %   val robust █▁   3.2 %"]),
        (40, ["val clean  ▁█  41.0 %", "val robust █▁   3.2 %"]),
    ],
)
def test_a_training_shows_its_validation_so_far(
    training: Run, width: int, expected: list[str]
) -> None:
    first, second = epoch(0, 0.2, 0.05), epoch(1, 0.41, 0.032)
    alone = shown(training, following(training, STARTED, first, PROGRESS), (width, 24))
    assert "val clean" not in "".join(alone)
    lines = shown(training, following(training, STARTED, first, second, PROGRESS), (width, 24))
    assert lines[3:] == expected
    ended = {"kind": "ended", "state": "completed"}
    over = shown(training, following(training, STARTED, first, second, ended), (width, 24))
    assert "val clean" not in "".join(over)


def test_epochs_without_values_have_no_sparkline(training: Run) -> None:
    members = following(training, STARTED, epoch(0, None, None), epoch(1, None, None), PROGRESS)
    assert len(shown(training, members, (120, 24))) == 3


def test_more_bars_than_lines_are_counted(attacking: Run) -> None:
    many = [attack(5, 9, 4, attack=f"attack-{n}") for n in range(20)]
    lines = shown(attacking, following(attacking, STARTED, *many), (80, 8))
    assert len(lines) == 8
    assert lines[-1] == "… and 14 more at work"


def test_an_unusual_name_is_cut_before_its_eps(store: Store) -> None:
    run = store.create(AttackSpec(checkpoints=STUDY.spec.checkpoints))
    name = "a network of somebody's from far away"
    event = attack(5, 9, 4, model=name, attack="pgd-untargeted ε 16/255")
    line = shown(run, following(run, STARTED, event), (60, 24))[1]
    assert "… ε 16/255 ━" in line
    assert line.endswith("ETA 0 s")


def test_a_waiting_run_says_why(training: Run) -> None:
    beat = {"kind": "heartbeat", "phase": "queued", "stalled_s": 3.0}
    lines = shown(training, following(training, beat), (80, 24))
    assert lines[-1] == "robust: starting, or waiting for the device"


def test_the_same_checkpoint_is_said_below_the_table(attacking: Run) -> None:
    members = following(attacking, *STUDY.events)
    table: Any = LiveTable().of(attacking, members[attacking.id][1])
    same = {"run": "r", "checkpoint": "best_robust", "model": "Best robust"}
    table["same_checkpoints"] = [{**same, "same_as": "Best clean", "epoch": 2}]
    lines = shown(attacking, members, (120, 24), table)
    assert lines[-1] == "Best robust is the same checkpoint as Best clean (epoch 3)"
