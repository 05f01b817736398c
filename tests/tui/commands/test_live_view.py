"""What the live and the plain view show of events, without a run at work."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

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
