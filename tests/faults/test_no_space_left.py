"""A disk without space: runs fail with a sentence, nothing is half written, a resume goes on."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from failing_disk import FailingDisk, Occurrence, Operation
from one_process import carry_out, children_in_this_process
from runs.events import EventReader
from runs.outcomes import FILE as OUTCOMES
from runs.outcomes import Outcomes
from runs.overrides import override
from runs.presets import preset
from runs.spec import AnySpec, AttackSpec, CheckpointRef, StudySpec
from runs.store import Run, Store
from tiny_training import tiny

TRAIN = tiny(epochs=1, train_limit=64, threads=1)
LOST = "no space left on "


def study() -> StudySpec:
    small = {"width": 4, "epochs": 1, "train_limit": 64, "batch_size": 32, "val_per_class": 2}
    spec = override(preset("demo"), {**small, "steps": 1, "limit": 20, "examples": 2, "threads": 1})
    assert isinstance(spec, StudySpec)
    return spec.model_copy(update={"share": True})


def attack_on(training: Run) -> AttackSpec:
    spec = study().child("attack")
    assert isinstance(spec, AttackSpec)
    reference = CheckpointRef(run=training.id, checkpoint="best_robust", label="Best robust")
    return spec.model_copy(update={"checkpoints": (reference,)})


@pytest.fixture
def lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Run, int, FailingDisk]]:
    """Carry out a new run of a spec while an operation of the disk fails."""

    def carried_out(
        spec: AnySpec, fails_at: Occurrence, *, short: bool = False
    ) -> tuple[Run, int, FailingDisk]:
        run = store.create(spec)
        disk = FailingDisk(store.home, fails_at, short=short)
        with disk.mounted(monkeypatch), children_in_this_process(monkeypatch):
            code = carry_out(run)
        return run, code, disk

    return carried_out


def assert_sound(store: Store, run: Run, code: int) -> None:
    """Every run is readable, none is completed falsely, and nothing half made is left."""
    if code:
        assert run.state() != "completed"
    else:
        assert run.state() == "completed"
    for one in store.runs():
        assert one.raw_spec, one.path
        left = [path.name for path in one.path.rglob("*") if path.name.startswith(".")]
        assert not left
        assert not (one.path / "reserve").exists()
        failure = one.failure
        # A child that can't even take its lock leaves no result that would say why.
        reasons = (LOST, "the worker exited without a result")
        assert failure is None or any(reason in failure["message"] for reason in reasons)
        assert (one.raw_result or {}).get("state") in (None, "completed", "failed")
        if one.events_path.exists():
            torn = [line for line in one.events_path.read_bytes().splitlines() if not _whole(line)]
            assert len(torn) <= 1
        if (one.path / OUTCOMES).exists():
            Outcomes.load(one.path / OUTCOMES)


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def assert_resumes(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with children_in_this_process(monkeypatch):
        assert carry_out(run) == 0
    assert all(one.state() == "completed" for one in store.runs())


POINTS: list[tuple[Operation, str]] = [
    (("write", "events.jsonl"), "the first event"),
    (("write", ".last.ckpt"), "a checkpoint"),
    (("write", ".result.json"), "the result"),
]


@pytest.mark.parametrize("point", [p for p, _ in POINTS], ids=[words for _, words in POINTS])
def test_a_training_that_finds_no_space_says_so_and_is_resumed(
    point: Operation,
    lost: Callable[..., tuple[Run, int, FailingDisk]],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, code, _ = lost(TRAIN, (point, 0))

    assert code == 1
    assert LOST in capsys.readouterr().err
    assert_sound(store, run, code)
    assert run.state() == "failed"
    assert re.fullmatch(LOST + r"\S+: [\d.]+ MB needed, [\d.]+ MB free", str(_message(run)))
    assert_resumes(store, run, monkeypatch)


def _message(run: Run) -> str | None:
    failure = run.failure
    return failure["message"] if failure else None


def test_the_checkpoint_before_the_failed_one_stays_and_the_run_goes_on_from_it(
    lost: Callable[..., tuple[Run, int, FailingDisk]],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = tiny(epochs=2, train_limit=64, threads=1)
    run, code, _ = lost(spec, (("replace", "last.ckpt"), 1))

    assert code == 1
    assert_sound(store, run, code)
    assert_resumes(store, run, monkeypatch)
    events: list[Any] = EventReader(run.events_path).new()
    starts = [event["resumed_from"] for event in events if event["kind"] == "started"]
    assert starts == [None, {"epoch": 0, "step": 2}]


def test_an_event_that_is_cut_short_spoils_no_other(
    lost: Callable[..., tuple[Run, int, FailingDisk]], store: Store
) -> None:
    run, code, _ = lost(TRAIN, (("write", "events.jsonl"), 5), short=True)

    assert_sound(store, run, code)
    assert code == 1
    kinds = [event["kind"] for event in EventReader(run.events_path).new()]
    assert kinds[-2:] == ["log", "ended"]


def test_what_a_killed_worker_was_writing_is_removed_by_the_next(store: Store) -> None:
    run = store.create(TRAIN)
    half = run.checkpoint("last").with_name(".last.ckpt.4711")
    half.parent.mkdir()
    tags = run.path / ".meta.json.4711"  # a person may be writing it now
    for path in (half, tags):
        path.write_bytes(b"half")

    assert carry_out(run) == 0

    assert (half.exists(), tags.exists()) == (False, True)


def _chosen(disk: FailingDisk, kind: str) -> list[Occurrence]:
    """The first and the last occurrence of each operation; of a study, whose first ones are those
    of its first training, the last alone."""
    return [
        (operation, occurrence)
        for operation, count in disk.operations.items()
        for occurrence in sorted({count - 1} if kind == "study" else {0, count - 1})
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "attack", "study"])
def test_whatever_operation_finds_no_space_the_run_stays_sound_and_is_resumed(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homes = iter(range(1000))

    def carried_out(fails_at: Occurrence | None) -> tuple[Store, Run, int, FailingDisk]:
        store = Store(tmp_path / str(next(homes)))
        spec: AnySpec = study() if kind == "study" else TRAIN
        if kind == "attack":
            training = store.create(TRAIN)
            assert carry_out(training) == 0
            spec = attack_on(training)
        run = store.create(spec)
        disk = FailingDisk(store.home, fails_at, short=True)
        with disk.mounted(monkeypatch), children_in_this_process(monkeypatch):
            return store, run, carry_out(run), disk

    *_, whole = carried_out(None)
    for occurrence in _chosen(whole, kind):
        store, run, code, _ = carried_out(occurrence)
        assert_sound(store, run, code)
        if code:
            assert_resumes(store, run, monkeypatch)
