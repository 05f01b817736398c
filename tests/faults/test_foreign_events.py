"""Any JSON in place of the fields of events: every reader of events goes on.

The fields are those of the typed contract; each holds a value of its type, or anything else.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from command_in_process import advtui, at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs import event_types
from runs.store import Run, Store
from tiny_training import tiny
from tui.render.progress import event_line
from tui.run_list.feed import RunFeed
from tui.run_list.row import read_row

KINDS = (
    *("started", "metric", "progress", "attack", "checkpoint", "system", "heartbeat", "child"),
    *("log", "ended", "of the future"),
)
LONGEST_S = 5.0

texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["robust", "best_clean", "epoch", "running", "../..", "\x1b]0;x\x07", "\0"]),
)
numbers = st.one_of(
    st.integers(-2, 9),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 2**63, 1e308, 1.8e9]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of a kind, with fields of right and of other types; some are absent."""
    kind = draw(st.sampled_from(KINDS))
    known: Any = getattr(event_types, f"{kind.capitalize()}Event", event_types.Head)
    event: dict[str, Any] = {"v": 1, "t": draw(st.one_of(st.just(1.8e9), values)), "kind": kind}
    for name in get_type_hints(known):
        if name not in event and draw(st.integers(0, 9)):
            event[name] = draw(st.one_of(st.integers(0, 9), texts, values, _usual(name)))
    return event


def _usual(name: str) -> st.SearchStrategy[Any]:
    """A value that a field of this name may have."""
    usual: dict[str, st.SearchStrategy[Any]] = {
        "values": st.dictionaries(st.sampled_from(["train_loss", "val_accuracy"]), scalars),
        "resumed_from": st.fixed_dictionaries({"epoch": scalars, "step": scalars}),
        "cell": st.fixed_dictionaries({"levels": st.lists(values, max_size=2)}),
        "gpus": st.lists(st.dictionaries(st.sampled_from(["index", "name"]), scalars), max_size=2),
    }
    return usual.get(name, scalars)


def check(lines: list[dict[str, Any]], *, whole: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, at_most(LONGEST_S):
        run = Store(Path(folder)).create(tiny())
        other = Store(Path(folder)).create(tiny())
        run.events_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        feed = RunFeed(Run(run.path))
        for _, event in feed.read():
            event_line(run, event)
        snapshot = feed.members[run.id].snapshot
        for row in (read_row(run, snapshot), read_row(run)):
            assert not row.error, row.error
        assert feed.left_s is None or feed.left_s >= 0
        for words in (("runs", "--json"), ("show", run.id, "--json")):
            answer = advtui(Path(folder), *words)
            assert answer.code == 0, answer
            json.loads(answer.stdout, parse_constant=pytest.fail)
            assert "\x1b" not in answer.stdout
            assert run.id in answer.stdout
        if whole:
            for command in (["runs"], ["show", run.id], ["logs", run.id]):
                answer = advtui(Path(folder), *command)
                assert answer.code == 0, answer
                assert "\x1b" not in answer.stdout
        assert other.id in advtui(Path(folder), "runs").stdout


several = st.lists(events(), min_size=1, max_size=6)
SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_TO_DRAW, derandomize=True)
@given(several)
def test_foreign_events_stop_no_reader(lines: list[dict[str, Any]]) -> None:
    check(lines, whole=False)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=SLOW_TO_DRAW, derandomize=True)
@given(several)
def test_hundreds_of_files_of_foreign_events(lines: list[dict[str, Any]]) -> None:
    check(lines, whole=True)
