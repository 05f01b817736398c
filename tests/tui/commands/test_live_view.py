"""What the live and the plain view show of events, without a run at work."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from recorded_attacks import recorded_attacks
from recorded_study import write_study
from runs.events import EventReader
from runs.presets import preset
from runs.snapshot import Snapshot
from runs.store import Run, Store
from tui.commands.live_view import LiveView, PlainView
from tui.render.lines import Lines
from tui.render.progress import bars, left_s


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Store(tmp_path).create(preset("demo").child("robust"))


STUDY, _ = recorded_attacks()


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
    assert found[0] == ("Baseline pgd-targeted", 6, 9, "4 of 9  7 img/s  ETA 0 s", 4)


def test_an_attack_that_is_over_has_no_bar(run: Run) -> None:
    attack = event("attack", model="M", attack="pgd", done=9, total=9, successes=4, rate=7.0)
    assert bars(run, fed(STARTED, attack)) == []
    assert bars(run, fed(STARTED, {**attack, "done": 7, "cell": {}})) == []


def test_a_line_an_epoch_fits_80_columns(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    for one in (STARTED, PROGRESS, epoch(0, 3600.0), event("log", message="a\x1b[31mb")):
        view.event(run, one)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "clean  50.0 %  robust  25.0 %" in lines[1]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in lines[2]


def test_the_panel_has_a_bar_with_its_eta(run: Run) -> None:
    panel = event("progress", task="sanity", done=1, total=3, unit="models", eta_s=12.0)
    (bar,) = bars(run, fed(STARTED, panel))
    assert bar[:4] == ("sanity panel", 1, 3, "1 of 3 models  ETA 12 s")


class Terminal(Console):
    """A terminal that keeps what is sent to it."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        kind = {"TERM": "xterm"}
        super().__init__(
            width=width, height=height, file=io.StringIO(), force_terminal=True, _environ=kind
        )

    @property
    def sent(self) -> str:
        assert isinstance(self.file, io.StringIO)
        return self.file.getvalue()

    @property
    def redraws(self) -> int:
        """How often the head of the run was sent."""
        return self.sent.count("working for")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the view in seconds, moved by hand."""
    now = [1000.0]
    for name in ("time", "monotonic"):
        monkeypatch.setattr(f"tui.commands.live_view.time.{name}", lambda: now[0])
    return now


def test_it_redraws_at_most_twice_a_second_and_only_what_changed(
    run: Run, clock: list[float]
) -> None:
    terminal = Terminal()
    view = LiveView(run, terminal)

    def report(done: int, t: float) -> None:
        told: Any = {**PROGRESS, "done": done, "t": t}
        view.event(run, told)

    started: Any = {**STARTED, "t": 990.0}
    view.event(run, started)
    report(5, 995.0)
    with view:
        view.refresh()
        assert terminal.redraws == 1
        for done in (6, 7, 8, 9):  # within half a second
            clock[0] += 0.1
            report(done, clock[0])
            view.refresh()
        assert terminal.redraws == 1
        clock[0] += 0.125
        view.refresh()
        assert terminal.redraws == 2
        for _ in range(8):  # nothing changes but the time
            clock[0] += 0.5
            view.refresh()
        assert terminal.redraws == 2
        clock[0] += 1.0
        view.refresh()
        assert terminal.redraws == 3


def test_it_looks_twice_a_second_at_most_whether_something_changed(
    run: Run, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = LiveView(run, Terminal())
    looked = []

    def lines() -> list[Text]:
        looked.append(clock[0])
        return [Text("the same")]

    monkeypatch.setattr(view, "lines", lines)
    with view:
        for _ in range(25):
            view.refresh()
            clock[0] += 0.125
    assert looked == [1000.0 + 0.5 * n for n in range(7)]


def test_the_lines_that_stay_fit_a_narrow_terminal(run: Run) -> None:
    terminal = Terminal(width=60)
    view = LiveView(run, terminal)
    of = {"model": "Best robust", "attack": "pgd-untargeted", "rate": 9.0}
    over = event("attack", done=9999, total=9999, successes=8765, cell={"levels": []}, **of)
    for one in (STARTED, epoch(0, 3600.0), over, event("log", message="a word " * 12)):
        view.event(run, one)
    _, told, attack, *notice = terminal.sent.splitlines()
    assert told == "robust  epoch  1/10  clean  50.0 %  robust  25.0 %  1 h 00 m"
    assert attack == "Best robust: pgd-untargeted 8765 of 9999 (87.7 %)"
    assert [line.startswith("  ") for line in notice] == [False, True]
    assert max(map(len, terminal.sent.splitlines())) <= 60


@pytest.mark.parametrize("height", [2, 3, 5, 24])
def test_the_part_that_is_redrawn_is_lower_than_the_terminal(run: Run, height: int) -> None:
    view = LiveView(run, Terminal(height=height))
    view.event(run, PROGRESS)
    assert 1 <= len(view.lines()) < height


def test_the_table_of_a_study_is_that_of_its_attack_run(store: Store) -> None:
    study, attack = store.create(preset("demo")), store.create(STUDY.spec)
    terminal = Terminal(width=120, height=40)
    view = LiveView(study, terminal)
    view.event(study, event("child", run=attack.id, role="attack", state="running"))
    terminal.print(Lines(view.lines()))
    assert "attacks …" in terminal.sent
    assert "18.89" not in terminal.sent
    for told in STUDY.events:
        view.event(attack, told)
    terminal.print(Lines(view.lines()))
    assert "18.89" in terminal.sent


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
