"""The remaining time of a run, on recorded and on made-up events."""

from typing import Any

import pytest

from recorded_study import recorded, replayed
from runs.attacks import named_attack
from runs.presets import preset
from runs.remaining import left_s
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, CheckpointRef, StudySpec
from runs.threat_model import PGD

SPEC, EVENTS = recorded()
END = EVENTS[-1][1]["t"]


def fold(*events: Any) -> Snapshot:
    snapshot = Snapshot()
    for t, event in enumerate(events):
        timed: Any = {"v": 1, "t": float(t), **event}
        snapshot.apply(timed)
    return snapshot


STARTED = {"kind": "started", "attempt": 1, "resumed_from": None, "device": "cpu"}


def attack_event(model: str, attack: str, done: int, total: int = 100, **fields: Any) -> Any:
    event = {"kind": "attack", "model": model, "attack": attack, "done": done, "total": total}
    return {**event, "successes": 0, "rate": 10.0, **fields}


def attack_spec(*names: str, models: int = 2, **fields: Any) -> dict[str, Any]:
    return AttackSpec(
        data="digits",
        limit=100,
        checkpoints=tuple(
            CheckpointRef(run="R", checkpoint="last", label=f"M{n}") for n in range(models)
        ),
        attacks=tuple(named_attack(name, PGD(steps=20)) for name in names),
        **fields,
    ).model_dump(mode="json")


PAIR = 100 * (3 + 2 * 0.3 * 20)
"""Forward passes of PGD-20 on 100 images, with the active set."""
PANEL = 50 * (10 + 2 * 0.3 * 9 * 20)
"""Forward passes of the quick panel on one model."""


def estimates() -> list[tuple[float, str, float | None]]:
    return [
        (t, role, left_s(SPEC, snapshots["study"], snapshots)) for t, role, snapshots in replayed()
    ]


def test_before_a_pace_is_measured_there_is_no_estimate() -> None:
    first = next(event["t"] for _, event in EVENTS if event["kind"] == "progress")
    found = estimates()
    assert all(left is None for t, _, left in found if t < first)
    assert all(left is not None for t, _, left in found if t >= first)


def test_a_study_has_one_estimate_that_comes_true() -> None:
    for t, role, left in estimates():
        if left is None or t < 6.0:  # the first steps of the very first epoch are slow
            continue
        true = END - t
        assert true / 2 - 3 <= left <= 2 * true + 3, f"at {t} s, by {role}: {left}, in truth {true}"


def test_the_panel_is_a_part_of_the_work() -> None:
    panel = [
        (left_s(SPEC, snapshots["study"], snapshots), snapshots["attack"].progress)
        for _, _, snapshots in replayed()
        if snapshots["attack"].progress is not None and snapshots["attack"].ended is None
    ]
    assert len(panel) > 5
    assert all(left for left, progress in panel if progress and progress["done"] < 3)


def test_a_run_that_has_ended_has_nothing_left_or_no_estimate() -> None:
    assert estimates()[-1][2] == 0.0
    for state, left in (("completed", 0.0), ("interrupted", None), ("failed", None)):
        ended = fold(STARTED, {"kind": "ended", "state": state})
        for kind in ("train", "attack", "study"):
            assert left_s({"kind": kind}, ended) == left


@pytest.mark.parametrize("eta", [None, "20", -1, 1e300, float("nan")])
def test_a_training_has_what_its_worker_reports(eta: object) -> None:
    spec = preset("demo").robust.model_dump(mode="json")
    progress = {"kind": "progress", "task": "train", "done": 1, "total": 9}
    assert left_s(spec, fold(STARTED, {**progress, "eta_s": 20.0})) == 20.0
    assert left_s(spec, fold(STARTED, {**progress, "eta_s": eta})) is None
    assert left_s(spec, fold(STARTED)) is None


def test_the_last_batch_of_an_attack_is_not_endless() -> None:
    """Images that withstand an attack are done at its end: the worker reports the steps."""
    spec = attack_spec("pgd-untargeted", models=1, sanity="quick")
    slow = attack_event("M0", "pgd-untargeted", 1, rate=0.5)
    left = left_s(spec, fold(STARTED, {**slow, "eta_s": 0.5}))
    assert left is not None
    assert left < 15  # by the images it would be 198 s, and the panel comes on top
    assert left_s(spec, fold(STARTED, {**slow, "eta_s": None})) is None


def test_a_model_to_come_takes_as_long_as_the_last_one() -> None:
    spec = attack_spec("pgd-untargeted", models=3)
    over = attack_event("M0", "pgd-untargeted", 100, cell={"levels": []})  # 10 s
    at_half = attack_event("M1", "pgd-untargeted", 50, rate=2.5, eta_s=20.0)  # 20 s of 40
    panel = left_s(spec, fold(STARTED, *(attack_event(f"M{n}", "pgd-untargeted", 100, rate=2.5,
        cell={"levels": []}) for n in range(3))))  # fmt: skip
    left = left_s(spec, fold(STARTED, over, at_half))
    assert panel is not None
    assert left == pytest.approx(20 + 40 + panel)


def test_autoattack_is_estimated_by_its_stages() -> None:
    spec = attack_spec("autoattack", models=1)
    stages = [
        attack_event("M0", f"autoattack {stage}", 100, rate=rate)
        for stage, rate in (("apgd-ce", 10.0), ("apgd-t", 1.0))
    ]
    early = left_s(spec, fold(STARTED, {**stages[0], "done": 50}))
    later = left_s(spec, fold(STARTED, *stages))
    assert early is not None
    assert later is not None
    assert 0 < later < 1000
    assert left_s(spec, fold(STARTED, {**stages[0], "done": 0})) is None


def test_several_levels_are_estimated_together() -> None:
    spec = attack_spec("pgd-untargeted", models=1, epsilons=(0.01, 0.02))
    levels = [
        attack_event("M0", f"pgd-untargeted ε {eps}", 50, eta_s=eta)
        for eps, eta in (("2.55/255", 30.0), ("5.1/255", 40.0))
    ]
    left = left_s(spec, fold(STARTED, *levels))
    assert left == pytest.approx(40 + 45 * PANEL / (2 * PAIR))


def test_the_panel_has_what_its_worker_reports() -> None:
    spec = attack_spec("pgd-untargeted", models=2)
    over = [attack_event(f"M{n}", "pgd-untargeted", 100, cell={"levels": []}) for n in range(2)]
    probing = {"kind": "progress", "task": "sanity", "done": 1, "total": 2, "unit": "models"}
    assert left_s(spec, fold(STARTED, *over, {**probing, "eta_s": 12.5})) == 12.5
    first = left_s(spec, fold(STARTED, *over, {**probing, "done": 0, "eta_s": None}))
    second = left_s(spec, fold(STARTED, *over, {**probing, "eta_s": None}))
    assert first is not None
    assert second == pytest.approx(first / 2)
    assert left_s(spec, fold(STARTED, *over, {**probing, "done": 2, "eta_s": 0.0})) == 0.0


@pytest.mark.parametrize("spec", [{"kind": "study"}, {"kind": "attack"}, {}, {"kind": 7}])
def test_a_spec_of_another_version_has_no_estimate(spec: dict[str, Any]) -> None:
    assert left_s(spec, fold(STARTED)) is None


@pytest.mark.parametrize("name", ["poster", "cpu", "demo"])
def test_a_preset_is_estimated_from_its_baseline(name: str) -> None:
    study = preset(name)
    assert isinstance(study, StudySpec)
    progress = {"kind": "progress", "task": "train", "epoch": 0, "epochs": 9, "done": 5,
                "total": 100, "rate": 5.0, "eta_s": 60.0}  # fmt: skip
    child = {"kind": "child", "run": "B", "role": "baseline", "state": "running"}
    left = left_s(
        study.model_dump(mode="json"), fold(STARTED, child), {"B": fold(STARTED, progress)}
    )
    assert left is not None
    assert left > 60
