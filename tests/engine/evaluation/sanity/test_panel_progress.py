"""The progress of the sanity panel: it estimates its end from the models that are probed."""

from pathlib import Path

import pytest

from engine.evaluation.sanity import panel
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from runs.events import EventReader, EventWriter
from runs.spec import AttackSpec
from runs.store import Store


def test_the_panel_estimates_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("engine.evaluation.sanity.panel.time.monotonic", lambda: now)
    run = Store(tmp_path).create(AttackSpec())
    progress = panel._Progress(RunContext(run, EventWriter(run.events_path), StopSignal(run)), 3)
    progress.report(0)
    for seconds, done in ((8, 0), (2, 1), (4, 1), (16, 1), (0, 2), (10, 3)):
        now += seconds
        if done > progress._done:
            progress.report(done)
        else:
            progress.beat()
    told = [event for event in EventReader(run.events_path).new() if event["kind"] == "progress"]
    assert [(event["done"], event["eta_s"]) for event in told] == [
        (0, None),
        (0, None),
        (1, 20.0),
        (1, 16.0),
        (1, 12.0),  # 20 s instead of 10: some more
        (2, 15.0),
        (3, 0.0),
    ]
