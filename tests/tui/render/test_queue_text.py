"""A waiting run says its place in the queue, and which run is before it."""

from pathlib import Path

import pytest

from runs.events import EventWriter
from runs.presets import preset
from runs.store import Store
from tui.render.queue_text import ordinal, queue_place


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (102, "102nd"),
        (113, "113th"),
    ],
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_a_queued_run_names_the_run_before_it(home: Path) -> None:
    store = Store(home)
    night = store.create(preset("demo").model_copy(update={"name": "night"}))
    nameless = store.create(preset("demo").child("robust"))
    run = store.create(preset("demo"))
    events = EventWriter(run.events_path)
    assert queue_place(run, run.state()) == ""

    events.write("heartbeat", phase="queued", place=2, behind=night.id)
    assert queue_place(run, run.state()) == "2nd, behind “night”"
    events.write("heartbeat", phase="queued", place=1, behind=nameless.id)
    assert queue_place(run, run.state()) == f"1st, behind “robust {nameless.id[-4:]}”"
    events.write("heartbeat", phase="running")
    assert queue_place(run, run.state()) == ""
