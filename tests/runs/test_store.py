"""The store: runs made, found, listed and deleted; their state derived from their files."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from runs.errors import NotFoundError, UserError
from runs.jsonfiles import write_json
from runs.locks import FileLock
from runs.presets import preset
from runs.run_state import LIVE, SILENCE_S
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run, Store, default_home

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def add(store: Store, number: int, *, suffix: str = "train-0000", **header: Any) -> Run:
    """A run with a given id and age: a higher number is newer."""
    name = header.pop("name", None)
    run = Run(store.folder / f"20261122-1840{number:02d}-{suffix}")
    run.path.mkdir(parents=True)
    fields = {"kind": "train", "name": name, "mode": "robust"}
    header = {"id": run.id, "created": NOW + number, "parent": None, "role": None, **header}
    write_json(run.path / "spec.json", {**fields, "run": header})
    return run


def happen(run: Run, *events: dict[str, Any]) -> None:
    with run.events_path.open("a") as stream:
        for event in events:
            stream.write(json.dumps({"v": 1, **event}) + "\n")


def end(run: Run, state: str = "completed") -> None:
    write_json(run.path / "result.json", {"v": 1, "state": state})


def beat(t: float, phase: str, attempt: int = 1) -> dict[str, Any]:
    return {"t": t, "kind": "heartbeat", "attempt": attempt, "phase": phase, "stalled_s": 0}


# Create


@pytest.mark.parametrize(
    ("spec", "slug"),
    [
        (TrainSpec(mode="baseline", recipe="standard"), "baseline"),
        (TrainSpec(mode="robust"), "robust"),
        (AttackSpec(), "attack"),
        (preset("demo"), "study"),
    ],
    ids=["baseline", "robust", "attack", "study"],
)
def test_a_new_run_has_an_id_of_utc_time_slug_and_four_digits(
    store: Store, spec: Any, slug: str
) -> None:
    before = time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time()))
    run = store.create(spec)
    after = time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time()))

    match = re.fullmatch(r"(\d{8}-\d{6})-([a-z]+)-([0-9a-f]{4})", run.id)

    assert match is not None
    assert before <= match[1] <= after
    assert match[2] == slug
    assert run.path == store.home / "runs" / run.id
    assert run.spec == spec


def test_a_new_run_holds_its_spec_and_nothing_else(store: Store) -> None:
    run = store.create(TrainSpec(name="mine"), parent="20261122-184005-study-3f9a", role="robust")

    assert [entry.name for entry in run.path.iterdir()] == ["spec.json"]
    assert (run.kind, run.mode, run.name, run.parent, run.role) == (
        "train",
        "robust",
        "mine",
        "20261122-184005-study-3f9a",
        "robust",
    )
    assert abs(run.created - time.time()) < 60
    assert run.result is None
    assert run.checkpoints() == []


def test_runs_made_in_the_same_second_get_ids_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter([b"\xaa\xaa", b"\xaa\xaa", b"\xbb\xbb", b"\xbb\xbb", b"\xaa\xaa", b"\xcc\xcc"])
    monkeypatch.setattr("runs.store.os.urandom", lambda _: next(tokens))
    monkeypatch.setattr("runs.store.time.time", lambda: NOW)

    assert [store.create(TrainSpec()).id[-4:] for _ in range(3)] == ["aaaa", "bbbb", "cccc"]


@pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a\nb", "[/foo]", "~"])
def test_a_name_is_text_and_never_a_path(store: Store, name: str) -> None:
    run = store.create(TrainSpec(name=name))

    assert run.name == name
    assert run.path.parent == store.folder
    assert store.find(name) == run


@pytest.mark.parametrize("depth", ["home", "runs"])
def test_a_home_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path, depth: str) -> None:
    place = tmp_path / "home"
    if depth == "runs":
        place.mkdir()
        (place / "runs").write_text("a file in the folder's place")
    else:
        place.write_text("a file in the folder's place")

    with pytest.raises(UserError) as error:
        Store(place).create(TrainSpec())

    assert f"the home {place} can't be written" in str(error.value)
    assert "--home or ADVTUI_HOME" in str(error.value)
    assert Store(place).runs() == []


def test_the_home_is_what_the_environment_says(home: Path) -> None:
    assert default_home() == home
    assert Store().folder == home / "runs"


def test_without_it_the_home_is_no_folder_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADVTUI_HOME", raising=False)
    monkeypatch.chdir(tmp_path)

    assert default_home().is_absolute()
    assert not default_home().is_relative_to(tmp_path)
    assert default_home().name == "advtui"


# List and find


def test_runs_are_listed_newest_first(store: Store) -> None:
    runs = [add(store, number) for number in (2, 1, 3)]

    assert store.runs() == [runs[2], runs[0], runs[1]]


def test_an_absent_home_holds_no_runs(store: Store) -> None:
    assert store.runs() == []


def test_foreign_folders_are_not_runs(store: Store) -> None:
    run = add(store, 1)
    for name in ("notes", ".hidden", "20261122-184001-train", "20261122-184001-train-00001"):
        (store.folder / name).mkdir()

    assert store.runs() == [run]


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xff",
        b'{"run": []}',
        b'{"run": {"created": "yesterday"}}',
        b'{"kind": 3, "name": [1], "run": {"created": null, "parent": 7}}',
    ],
)
def test_a_half_written_run_does_not_spoil_the_list(store: Store, content: bytes | None) -> None:
    whole = add(store, 1)
    half = store.folder / "20261122-184002-robust-ffff"
    half.mkdir()
    if content is not None:
        (half / "spec.json").write_bytes(content)

    runs = store.runs()

    assert set(runs) == {whole, Run(half)}
    found = store.find(half.name)
    assert found.state(now=NOW * 2) == "lost"
    assert isinstance(found.kind, str)
    assert found.created > 0
    with pytest.raises(UserError):
        _ = found.spec
    assert store.children(whole) == []


def test_an_id_of_no_real_date_does_not_spoil_the_list(store: Store) -> None:
    whole = add(store, 1)
    (store.folder / "20269999-999999-robust-ffff").mkdir()

    assert whole in store.runs()


def test_a_run_is_found_by_id_prefix_and_name(store: Store) -> None:
    older = add(store, 1, suffix="robust-aaaa", name="first try")
    newer = add(store, 2, suffix="robust-bbbb")

    assert store.find(older.id) == older
    assert store.find("20261122-184001") == older
    assert store.find("20261122-184002-r") == newer
    assert store.find("first try") == older


def test_a_whole_id_and_a_name_come_before_a_prefix(store: Store) -> None:
    first = add(store, 1)
    named = add(store, 2, name="2026")
    like_an_id = add(store, 3, name=first.id)

    assert store.find("2026") == named
    assert store.find(first.id) == first
    assert like_an_id != first


def test_any_unique_part_of_an_id_names_a_run(store: Store) -> None:
    robust = add(store, 1, suffix="robust-3f9a")
    baseline = add(store, 2, suffix="baseline-bbbb")

    for word in ("3f9a", "robust-3f", "184001", "9a"):
        assert store.find(word) == robust
    for word in ("bbbb", "baseline", "184002-baseline", "line-bbbb"):
        assert store.find(word) == baseline
    with pytest.raises(NotFoundError, match="'18400' is ambiguous") as error:
        store.find("18400")
    assert robust.id in str(error.value)
    assert baseline.id in str(error.value)


def test_a_name_and_a_prefix_come_before_another_part_and_a_tail_before_a_time(
    store: Store,
) -> None:
    tailed = add(store, 1, suffix="robust-3f9a")
    named = add(store, 2, suffix="robust-bbbb", name="3f9a")
    timed = add(store, 3, suffix="robust-cccc")
    like_a_time = add(store, 4, suffix="robust-1840")

    assert store.find("3f9a") == named
    assert store.find("-3f9a") == tailed
    assert store.find("1840") == like_a_time
    assert store.find("184003") == timed
    assert store.find("20261122-184003") == timed


def test_at_counts_what_a_person_started_newest_first(store: Store) -> None:
    train = add(store, 1)
    study = add(store, 2, suffix="study-0000")
    add(store, 3, suffix="baseline-0000", parent=study.id, role="baseline")
    add(store, 4, suffix="robust-0000", parent=study.id, role="robust")

    assert store.find("@1") == study
    assert store.find("@2") == train
    for word in ("@0", "@3", "@99999999999999999999"):
        with pytest.raises(NotFoundError, match=f"no run {word}: there are 2 runs"):
            store.find(word)


def test_several_candidates_are_listed(store: Store) -> None:
    runs = [add(store, number, name="same") for number in range(1, 8)]

    for word in ("same", "2026"):
        with pytest.raises(NotFoundError) as error:
            store.find(word)
        message = str(error.value)
        assert f"{word!r} is ambiguous" in message
        assert runs[-1].id in message
        assert "and 2 more" in message


@pytest.mark.parametrize("word", ["", "x", "@", "@x", "@-1", "../home", "*", "20261123"])
def test_a_run_that_is_not_there_is_said_to_be_missing(store: Store, word: str) -> None:
    add(store, 1)

    with pytest.raises(NotFoundError) as error:
        store.find(word)

    assert f"no run {word!r}: there is 1 run in {store.home}" in str(error.value)
    assert error.value.exit_code == 3


def test_the_children_of_a_study_come_oldest_first(store: Store) -> None:
    study = add(store, 1, suffix="study-0000")
    other = add(store, 2, suffix="study-1111")
    attack = add(store, 5, suffix="attack-0000", parent=study.id, role="attack")
    baseline = add(store, 3, suffix="baseline-0000", parent=study.id, role="baseline")
    add(store, 4, suffix="baseline-1111", parent=other.id, role="baseline")

    assert store.children(study) == [baseline, attack]


# State

RECENT, OLD = NOW - 1, NOW - SILENCE_S - 1


def measured(t: float, step: int) -> dict[str, Any]:
    return {"t": t, "kind": "metric", "epoch": 0, "step": step, "values": {}}


STATES: dict[str, tuple[str, list[dict[str, Any]], str | None]] = {
    "nothing happened yet": ("queued", [], None),
    "waits": ("queued", [beat(RECENT, "queued")], None),
    "has begun": ("running", [beat(RECENT, "queued"), {"t": RECENT, "kind": "started"}], None),
    "beats while it works": (
        "running",
        [{"t": OLD, "kind": "started"}, beat(RECENT, "running")],
        None,
    ),
    "measures": ("running", [measured(RECENT, 1)], None),
    "log of a waiting run": (
        "queued",
        [beat(RECENT, "queued"), {"t": RECENT, "kind": "log", "message": "waits for cpu"}],
        None,
    ),
    "fell silent at work": ("lost", [{"t": OLD, "kind": "started"}, beat(OLD, "running")], None),
    "fell silent in the queue": ("lost", [beat(OLD, "queued")], None),
    "still writes its result": (
        "running",
        [beat(RECENT, "running"), {"t": RECENT, "kind": "ended", "state": "completed"}],
        None,
    ),
    "completed long ago": ("completed", [{"t": OLD, "kind": "ended"}], "completed"),
    "failed": ("failed", [beat(RECENT, "running")], "failed"),
    "interrupted": ("interrupted", [beat(RECENT, "running")], "interrupted"),
    "result of an unknown state": ("running", [beat(RECENT, "running")], "odd"),
    "resumed, in the queue again": (
        "queued",
        [
            beat(OLD, "queued"),
            {"t": OLD, "kind": "started", "attempt": 1},
            measured(OLD, 1),
            {"t": OLD, "kind": "ended", "state": "interrupted"},
            beat(RECENT, "queued", attempt=2),
        ],
        None,
    ),
    "resumed, at work again": (
        "running",
        [
            {"t": OLD, "kind": "ended", "state": "interrupted"},
            beat(RECENT, "queued", attempt=2),
            {"t": RECENT, "kind": "started", "attempt": 2},
        ],
        None,
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_the_state_follows_from_the_files(store: Store, case: str) -> None:
    state, events, result = STATES[case]
    run = add(store, 0)
    happen(run, *events)
    if result:
        end(run, result)

    assert run.state(now=NOW) == state


@pytest.mark.parametrize("events", [[], [beat(OLD, "queued")], [beat(OLD, "running")]])
def test_a_silent_run_whose_lock_is_held_is_unresponsive_and_lives(
    store: Store, events: list[dict[str, Any]]
) -> None:
    run = add(store, -100)
    happen(run, *events)
    with FileLock(run.lock_path):
        assert run.state(now=NOW) == "unresponsive"
        assert "unresponsive" in LIVE
        happen(run, beat(RECENT, "running"))
        assert run.state(now=NOW) == "running"
    assert run.state(now=NOW + 2 * SILENCE_S) == "lost"


def test_the_lock_is_asked_only_where_result_and_events_say_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, at_work = add(store, 0), add(store, 1)
    happen(ended, beat(OLD, "running"))
    end(ended)
    happen(at_work, beat(RECENT, "running"))

    def ask(path: Path) -> bool:
        raise AssertionError(path)

    monkeypatch.setattr("runs.store.is_held", ask)
    assert [run.state(now=NOW) for run in (ended, at_work)] == ["completed", "running"]


def test_a_run_without_events_is_lost_after_the_silence(store: Store) -> None:
    run = add(store, 0)

    assert run.state(now=run.created + SILENCE_S) == "queued"
    assert run.state(now=run.created + SILENCE_S + 0.1) == "lost"


def test_a_new_run_is_queued_by_the_clock(store: Store) -> None:
    assert store.create(TrainSpec()).state() == "queued"


def test_a_torn_result_is_none(store: Store) -> None:
    run = add(store, 0)
    happen(run, beat(RECENT, "running"))
    (run.path / "result.json").write_text('{"state": "comp')

    assert run.state(now=NOW) == "running"


def test_a_long_history_does_not_hide_the_state(store: Store) -> None:
    run = add(store, 0)
    happen(run, {"t": OLD, "kind": "started"}, beat(OLD, "queued", attempt=2))
    happen(run, *(measured(RECENT, step) for step in range(2000)))

    assert run.state(now=NOW) == "running"
    assert run.was_started


def test_a_run_was_started_once_any_attempt_was(store: Store) -> None:
    run = add(store, 0)
    assert not run.was_started
    happen(run, beat(OLD, "queued"))
    assert not run.was_started

    happen(run, {"t": OLD, "kind": "started"}, beat(RECENT, "queued", attempt=2))

    assert run.was_started


# What else lies in the folder


def test_tags_and_note_are_kept_beside_each_other(store: Store) -> None:
    run = add(store, 0)
    assert run.meta == {"tags": []}

    run.set_meta(tags=["a"])
    run.set_meta(note="ε is small")

    assert run.meta == {"tags": ["a"], "note": "ε is small"}


@pytest.mark.parametrize("content", ["", "[]", '{"tags": "a"}'])
def test_junk_in_meta_is_no_tags(store: Store, content: str) -> None:
    run = add(store, 0)
    (run.path / "meta.json").write_text(content)

    assert run.meta["tags"] == []


def test_the_checkpoints_that_are_there_are_named(store: Store) -> None:
    run = add(store, 0)
    for name in ("last", "best_clean", "mine"):
        run.checkpoint(name).parent.mkdir(exist_ok=True)
        run.checkpoint(name).touch()

    assert run.checkpoints() == ["best_clean", "last"]


# Delete


def test_a_run_is_deleted_with_its_children_alone(store: Store) -> None:
    study = add(store, 1, suffix="study-0000")
    child = add(store, 2, suffix="baseline-0000", parent=study.id)
    other = add(store, 3)
    end(study)
    end(child)

    store.delete(study)

    assert store.runs() == [other]
    assert not study.path.exists()
    assert not child.path.exists()


def sweep_of_studies(store: Store) -> list[Run]:
    """A sweep of two studies with one training each, in the order of their family."""
    sweep = add(store, 1, suffix="sweep-0000")
    family = [sweep]
    for number in (2, 4):
        study = add(store, number, suffix="study-0000", parent=sweep.id)
        training = add(store, number + 1, suffix="robust-0000", parent=study.id)
        family += [study, training]
    for run in family:
        end(run)
    return family


def test_a_family_holds_the_children_of_children_each_after_its_parent(store: Store) -> None:
    family = sweep_of_studies(store)
    add(store, 6)
    assert store.family(family[0]) == family
    assert store.family(family[1]) == family[1:3]
    assert store.family(family[2]) == [family[2]]


def test_a_run_that_is_its_own_ancestor_is_in_its_family_once(store: Store) -> None:
    first = add(store, 1, parent="20261122-184002-train-0000")
    second = add(store, 2, parent=first.id)
    assert store.family(first) == [first, second]


@pytest.mark.parametrize("checkpoints_only", [False, True])
def test_of_a_sweep_of_studies_nothing_remains(store: Store, checkpoints_only: bool) -> None:
    family = sweep_of_studies(store)
    for run in family:
        (run.path / "checkpoints").mkdir()
    other = add(store, 6)

    store.delete(family[0], checkpoints_only=checkpoints_only)

    assert not any((run.path / "checkpoints").exists() for run in family)
    assert store.runs() == ([other, *reversed(family)] if checkpoints_only else [other])


def test_a_sweep_of_which_a_study_is_at_work_is_not_deleted(store: Store) -> None:
    sweep, *_, training = sweep_of_studies(store)
    (training.path / "result.json").unlink()
    happen(training, beat(time.time(), "running"))
    with pytest.raises(UserError, match=f"{training.id} is running: stop it first"):
        store.delete(sweep)


@pytest.mark.parametrize("phase", ["queued", "running"])
@pytest.mark.parametrize("live", ["study", "child"])
def test_a_live_run_is_not_deleted_nor_is_its_study(store: Store, phase: str, live: str) -> None:
    study = add(store, 1, suffix="study-0000")
    child = add(store, 2, suffix="baseline-0000", parent=study.id)
    alive, over = (study, child) if live == "study" else (child, study)
    happen(alive, beat(time.time(), phase))
    end(over)

    with pytest.raises(UserError, match=f"{alive.id} is {phase}: stop it first"):
        store.delete(study)

    assert study.path.exists()
    assert child.path.exists()


def test_an_unresponsive_run_is_not_deleted(store: Store) -> None:
    run = add(store, 1)
    happen(run, beat(1.0, "running"))
    with (
        FileLock(run.lock_path),
        pytest.raises(UserError, match="is unresponsive, and its worker lives: stop it first"),
    ):
        store.delete(run)
    assert run.path.exists()


@pytest.mark.parametrize("state", ["completed", "failed", "interrupted", None])
def test_a_run_that_is_over_or_lost_can_be_deleted(store: Store, state: str | None) -> None:
    run = add(store, 1)
    happen(run, beat(1.0, "running"))
    if state:
        end(run, state)

    store.delete(run)

    assert store.runs() == []
