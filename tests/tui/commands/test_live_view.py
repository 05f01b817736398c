"""What the live and the plain view show of events, without a run at work."""

import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from recorded_study import write_study
from runs.events import EventReader
from runs.presets import preset
from runs.snapshot import Snapshot
from runs.store import Run, Store
from tui.commands.live_view import LiveView, PlainView
from tui.render.progress import bars, left_s


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Store(tmp_path).create(preset("demo").child("robust"))


def event(kind: str, **fields: object) -> Any:
    return {"v": 1, "t": 1.0, "kind": kind, **fields}


STARTED = event(
    "started",
    attempt=1,
    resumed_from=None,
    device="cpu",
    device_name="x",
    precision="fp32",
    threads=2,
)
PROGRESS = event(
    "progress",
    task="train",
    epoch=1,
    epochs=4,
    done=5,
    total=10,
    unit="batches",
    rate=2.0,
    eta_s=20.0,
)


def epoch(number: int, seconds: object, **fields: object) -> Any:
    values = {"train_loss": 1.5, "val_accuracy": 0.5, "val_robust_accuracy": 0.25, "lr": 0.1}
    return event(
        "metric",
        every="epoch",
        epoch=number,
        step=10,
        values={**values, "seconds": seconds},
        **fields,
    )


def fed(*events: Any) -> Snapshot:
    snapshot = Snapshot()
    for one in events:
        snapshot.apply(one)
    return snapshot


@pytest.mark.parametrize("eta", [None, "20", -1, 1e300, float("nan")])
def test_what_is_no_time_is_not_told(eta: object) -> None:
    assert left_s(PROGRESS) == 20.0
    told: Any = {**PROGRESS, "eta_s": eta}
    assert left_s(told) is None


def test_a_pipe_is_told_once_how_long_a_training_takes(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    view = PlainView()
    for done, eta in ((1, 9000.0), (9, None), (10, 1323.0), (11, 1322.0), (20, 900.0)):
        told: Any = {**PROGRESS, "done": done, "eta_s": eta}
        view.event(run, told)
    assert capsys.readouterr().err.splitlines() == ["robust: ETA 22 m 03 s"]


def test_a_training_has_a_bar_for_all_epochs_and_one_for_this(run: Run) -> None:
    whole, part = bars(run, fed(STARTED, PROGRESS))
    assert whole[:3] == ("robust epoch 2/4", 1.5, 4)
    assert part[:3] == ("  train", 5, 10)


def test_each_model_and_attack_has_a_bar(run: Run) -> None:
    seen = [
        event("attack", model=m, attack=a, done=5, total=9, successes=4, rate=7.0)
        for m in ("Baseline", "Best robust")
        for a in ("pgd-targeted", "pgd-untargeted")
    ]
    found = bars(run, fed(*seen, {**seen[0], "done": 6}))
    assert len(found) == 4
    assert found[0] == ("Baseline pgd-targeted", 6, 9, "4 of 9  7 img/s  ETA 0 s")
    over = bars(run, fed({**seen[0], "cell": {}}))
    assert over[0][3] == "4 of 9  7 img/s"


def test_the_bars_of_an_attack_fit_80_columns(run: Run) -> None:
    view = LiveView(run)
    view._console = Console(width=80, markup=False)
    of = {"model": "Best robust", "attack": "pgd-untargeted", "successes": 4000, "rate": 123.4}
    attack = event("attack", done=5000, total=10_000, **of)
    view._snapshots[run.id] = (run, fed(STARTED, attack))
    with view._console.capture() as shown:
        view._console.print(view.render())
    _, line = shown.get().splitlines()
    assert "4,000 of 10,000  123 img/s  ETA 41 s" in line
    assert "Best robust pgd-untargeted" in line


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_live_view_fits_the_terminal(run: Run, width: int) -> None:
    view = LiveView(run)
    view._console = Console(width=width, markup=False)
    for one in (STARTED, epoch(0, 8.0), PROGRESS):
        view._snapshots.setdefault(run.id, (run, Snapshot()))[1].apply(one)
    with view._console.capture() as shown:
        view._console.print(view.render())
    lines = shown.get().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert "ETA 20 s" in lines[1]


def test_a_line_an_epoch_fits_80_columns(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    for one in (STARTED, PROGRESS, epoch(0, 3600.0), event("log", message="a\x1b[31mb")):
        view.event(run, one)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "clean  50.0 %  robust  25.0 %" in lines[1]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in lines[2]


def test_a_bar_keeps_its_eta_where_room_is_short(run: Run) -> None:
    view = LiveView(run)
    view._console = Console(width=60, markup=False)
    of = {"model": "a network of somebody's", "attack": "pgd-untargeted", "successes": 4000}
    attack = event("attack", done=5000, total=10_000, rate=23.0, **of)
    view._snapshots[run.id] = (run, fed(STARTED, attack))
    with view._console.capture() as shown:
        view._console.print(view.render())
    assert shown.get().splitlines()[1].rstrip().endswith("ETA 3 m 37 s")


def test_the_panel_has_a_bar_with_its_eta(run: Run) -> None:
    panel = event("progress", task="sanity", done=1, total=3, unit="models", eta_s=12.0)
    (bar,) = bars(run, fed(STARTED, panel))
    assert bar == ("sanity panel", 1, 3, "1 of 3 models  ETA 12 s")


def test_a_part_of_an_attack_that_has_ended_has_no_eta(run: Run) -> None:
    attack = event(
        "attack", model="M", attack="autoattack apgd-ce", done=9, total=9, successes=4, rate=7.0
    )
    assert "ETA" not in bars(run, fed(STARTED, attack))[0].text


def test_a_study_shows_its_own_eta_above_the_bars(tmp_path: Path) -> None:
    runs = write_study(Store(tmp_path), 25.0, time.time())
    view = LiveView(runs["study"])
    view._console = Console(width=80, markup=False)
    for member in runs.values():
        for one in EventReader(member.events_path).new():
            view.event(member, one)
    with view._console.capture() as shown:
        view._console.print(view.render())
    head = shown.get().splitlines()[0]
    assert "working for " in head
    assert head.split("ETA ")[1].strip() not in ("", "–", "0 s")


def test_a_pipe_says_with_each_child_how_long_the_study_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_study(Store(tmp_path), 1000.0, time.time())
    view = PlainView(runs["study"])
    told = {role: EventReader(run.events_path).new() for role, run in runs.items()}
    order = sorted(
        ((one["t"], n, role, one) for role, seen in told.items() for n, one in enumerate(seen)),
        key=lambda entry: entry[:2],
    )
    for _, _, role, one in order:
        view.event(runs[role], one)
    lines = [line for line in capsys.readouterr().err.splitlines() if "ETA" in line]
    assert [line.split(":")[0] for line in lines] == [
        *("baseline", "study", "robust", "study", "attack", "study")
    ]
