"""A study hands its stop requests on to the child at work, each once."""

from typing import cast

import pytest

from engine.process import child_at_work, study
from engine.process.child_at_work import ChildAtWork
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from engine.process.study import _carry_out
from runs.events import EventWriter
from runs.jsonfiles import write_json
from runs.presets import preset
from runs.spec import TrainSpec
from runs.store import Run, Store

POLLS = 5


class Asked:
    """A :class:`StopSignal` that has been given."""

    requested = True

    def __init__(self, *, urgently: bool) -> None:
        self.is_urgent = urgently

    def check(self) -> None:
        """The child is started in spite of it."""


@pytest.mark.parametrize(("urgently", "times"), [(False, 1), (True, 2)])
def test_a_child_is_asked_as_often_as_its_study(
    store: Store, monkeypatch: pytest.MonkeyPatch, urgently: bool, times: int
) -> None:
    asked: list[tuple[Run, bool]] = []

    def ask(run: Run, *, at_once: bool) -> None:
        asked.append((run, at_once))

    class Worker:
        """Ends as interrupted a few looks after it was asked."""

        polls = 0

        def poll(self) -> int | None:
            self.polls += len(asked) == times
            if self.polls < POLLS:
                return None
            write_json(child.path / "result.json", {"state": "interrupted"})
            return 130

    monkeypatch.setattr(study, "POLL_S", 0.0)
    monkeypatch.setattr(child_at_work, "AGAIN_S", 0.0)
    monkeypatch.setattr(child_at_work, "start_worker", lambda _: Worker())
    monkeypatch.setattr(child_at_work, "request_stop", ask)
    parent = store.create(preset("demo"))
    spec = preset("demo").child("baseline")
    assert isinstance(spec, TrainSpec)
    child = store.create(spec, parent=parent.id, role="baseline")
    events = EventWriter(parent.events_path)
    stop = cast(StopSignal, Asked(urgently=urgently))
    context = RunContext(parent, events, stop)
    with pytest.raises(StopRequested):
        _carry_out([ChildAtWork(child, "baseline", context, lambda: None)], context)
    events.close()
    assert asked == [(child, False), (child, True)][:times]
