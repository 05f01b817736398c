"""What changes in a home and in a run, brought in slices."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from fixed_home import NOW, build
from runs.events import EventWriter
from runs.presets import preset
from runs.store import Run, Store
from tui.run_list.feed import HomeFeed, RunFeed


def whole_pass(feed: HomeFeed) -> None:
    while not feed.step(1.0):
        pass


def test_a_pass_is_cut_into_slices(home: Path) -> None:
    build(home)
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    slices = 1
    while not feed.step(budget_s=0.0):
        slices += 1
    assert slices > 5
    assert len(feed.rows) == 10
    assert feed.take_change()


def test_nothing_new_is_no_change_and_reads_no_ended_run_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = build(home)
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    whole_pass(feed)
    whole_pass(feed)  # those at work are followed from here on
    feed.take_change()
    read: list[str] = []
    original = feed._row

    def noted(run: Run, known: Any) -> Any:
        read.append(run.id)
        return original(run, known)

    monkeypatch.setattr(feed, "_row", noted)
    whole_pass(feed)
    assert not feed.take_change()
    assert set(read) == {ids["running"], ids["attacking"], ids["queued"]}


def test_tags_results_and_new_runs_are_seen(home: Path) -> None:
    ids = build(home)
    store = Store(home)
    feed = HomeFeed(store, clock=lambda: NOW)
    whole_pass(feed)
    Run(store.folder / ids["failed"]).set_meta(tags=["seen"])
    made = store.create(preset("demo"))
    whole_pass(feed)
    assert feed.take_change()
    assert feed.rows[ids["failed"]].tags == ("seen",)
    assert feed.rows[made.id].kind == "study"


def test_a_run_that_ends_is_told_once(home: Path) -> None:
    ids = build(home)
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    whole_pass(feed)
    assert not feed.take_ended()
    result = home / "runs" / ids["running"] / "result.json"
    result.write_text(json.dumps({"state": "completed", "seconds": 5.0}))
    whole_pass(feed)
    assert [(row.id, row.state) for row in feed.take_ended()] == [(ids["running"], "completed")]
    whole_pass(feed)
    assert not feed.take_ended()


def test_silence_turns_a_live_run_into_a_lost_one(home: Path) -> None:
    ids = build(home)
    now = [NOW]
    feed = HomeFeed(Store(home), clock=lambda: now[0])
    whole_pass(feed)
    now[0] += 60
    whole_pass(feed)
    assert feed.rows[ids["running"]].state == "lost"
    assert {row.id for row in feed.take_ended()} == {
        ids[what] for what in ("running", "attacking", "queued")
    }


def test_a_run_that_is_resumed_is_live_again(home: Path) -> None:
    ids = build(home, now=time.time())
    feed = HomeFeed(Store(home))
    whole_pass(feed)
    run = Run(home / "runs" / ids["interrupted"])
    writer = EventWriter(run.events_path)
    writer.write("started", attempt=2, resumed_from={"epoch": 4, "step": 1875})
    (run.path / "result.json").unlink()
    whole_pass(feed)
    assert feed.rows[run.id].state == "running"
    writer.close()


def test_a_home_that_disappears_is_told_and_its_list_stays(home: Path) -> None:
    build(home)
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    whole_pass(feed)
    home.rename(home.with_name("away"))
    whole_pass(feed)
    assert "is gone" in feed.problem
    assert len(feed.rows) == 10
    home.with_name("away").rename(home)
    whole_pass(feed)
    assert not feed.problem


def test_a_deleted_run_leaves_the_list(home: Path) -> None:
    ids = build(home)
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    whole_pass(feed)
    shutil.rmtree(home / "runs" / ids["lost"])
    whole_pass(feed)
    assert ids["lost"] not in feed.rows


def test_an_epochs_figures_survive_a_long_silence_of_metrics(home: Path) -> None:
    """Many progress events after the last epoch must not hide its figures."""
    ids = build(home)
    run = Run(home / "runs" / ids["running"])
    with run.events_path.open("a") as stream:
        for n in range(3000):
            event = {"v": 1, "t": NOW - 1, "kind": "progress", "task": "train", "done": n}
            stream.write(json.dumps({**event, "total": 9999, "epoch": 7, "epochs": 20}) + "\n")
    feed = HomeFeed(Store(home), clock=lambda: NOW)
    for _ in range(8):
        whole_pass(feed)
        assert feed.rows[run.id].clean is not None
        assert feed.rows[run.id].progress == "7/20"


def test_a_run_feed_follows_its_children(home: Path) -> None:
    ids = build(home)
    run = Run(home / "runs" / ids["study"])
    feed = RunFeed(run)
    feed.read()
    assert [member.run.id for member in feed.trainings] == [ids["baseline"], ids["robust"]]
    assert feed.attack is not None
    assert feed.attack.run.id == ids["attack"]
    assert len(feed.attack.snapshot.attacks) == 6


def test_a_run_feed_finds_a_child_by_its_event(home: Path) -> None:
    ids = build(home)
    study = Run(home / "runs" / ids["study"])
    feed = RunFeed(study)
    feed.read()
    writer = EventWriter(study.events_path)
    writer.write("child", run=ids["running"], role="robust", state="running")
    writer.write("child", run="../../../etc", role="attack", state="running")
    feed.read()
    assert ids["running"] in feed.members
    assert len(feed.members) == 5
    writer.close()


def test_a_long_file_comes_in_slices_of_whole_events(home: Path) -> None:
    ids = build(home)
    feed = RunFeed(Run(home / "runs" / ids["robust"]))
    came = feed.read(max_bytes=1000)
    assert feed.has_more
    while feed.has_more:
        came += feed.read(max_bytes=1000)
    whole = RunFeed(Run(home / "runs" / ids["robust"]))
    assert [event for _, event in came] == [event for _, event in whole.read()]
