"""The line of a run at work: its bar, its pace, and an ETA that is never cut."""

import time
from pathlib import Path
from typing import Any

import pytest

from recorded_study import recorded, write_study
from runs.store import Run, Store
from tui.render.palette import TERMINAL
from tui.render.text import duration
from tui.run_list.feed import RunFeed
from tui.screens.panes.pages import now_line

END = recorded()[1][-1][1]["t"]
PANEL = [e["t"] for _, e in recorded()[1] if e["kind"] == "progress" and e["task"] == "sanity"]


def feed_of(run: Run) -> RunFeed:
    feed = RunFeed(run)
    feed.read()
    return feed


def shown(feed: RunFeed, width: int) -> str:
    line = now_line(feed, "running", "", width, TERMINAL)
    assert line.cell_len <= width, line.plain
    return line.plain


@pytest.mark.parametrize("width", [40, 60, 78, 118, 198])
@pytest.mark.parametrize("until", [5.7, 8.0, 12.0, 25.0, 36.0, 45.0, 48.0, *PANEL[::5]])
def test_a_study_shows_one_whole_eta_at_every_width(
    tmp_path: Path, until: float, width: int
) -> None:
    feed = feed_of(write_study(Store(tmp_path), until, time.time())["study"])
    assert feed.left_s is not None
    assert shown(feed, width).endswith(f"study ETA {duration(feed.left_s)}")
    assert feed.left_s > 0 or until > END - 1


def test_a_study_whose_first_child_starts_has_no_estimate(tmp_path: Path) -> None:
    feed = feed_of(write_study(Store(tmp_path), 4.7, time.time())["study"])
    assert feed.left_s is None
    assert "ETA" not in shown(feed, 78).replace("ETA –", "")


def test_while_the_panel_works_it_is_the_work_at_hand(tmp_path: Path) -> None:
    runs = write_study(Store(tmp_path), PANEL[3], time.time())
    for role in ("attack", "study"):
        line = shown(feed_of(runs[role]), 78)
        assert "sanity panel" in line
        assert "100 %" not in line
        assert not line.endswith("ETA 0 s")


def attack_event(attack: str, done: int, **fields: Any) -> Any:
    event = {"v": 1, "t": 1.0, "kind": "attack", "model": "Baseline", "attack": attack}
    return {**event, "done": done, "total": 9, "successes": 0, "rate": 3.0, **fields}


def test_a_stage_that_has_ended_is_not_the_work_at_hand(tmp_path: Path) -> None:
    runs = write_study(Store(tmp_path), PANEL[3], time.time())
    feed = feed_of(runs["attack"])
    for event in (
        attack_event("pgd ε 1/255", 9),
        attack_event("pgd", 9, cell={"levels": []}),
    ):
        feed.members[runs["attack"].id].snapshot.apply(event)
    assert "sanity panel" in shown(feed, 118)


def test_what_stalls_is_said_with_the_eta(tmp_path: Path) -> None:
    runs = write_study(Store(tmp_path), 25.0, time.time())
    feed = feed_of(runs["robust"])
    beat: Any = {"v": 1, "t": 1.0, "kind": "heartbeat", "phase": "running", "stalled_s": 125.0}
    feed.members[runs["robust"].id].snapshot.apply(beat)
    line = shown(feed, 78)
    assert "no progress for 2 m 05 s" in line
    assert line.endswith(f"ETA {duration(feed.left_s)}")
