"""A study at work in a fixed home: in its robust training, or in its attacks."""

import json
from pathlib import Path
from typing import Any, Literal

from fixed_home import NOW, ROWS, FixedHome, attack_event, big_study, training_events
from runs.spec import CheckpointRef, TrainSpec

Phase = Literal["robust", "attack"]
EPOCHS = 12.4
"""Epochs that the robust training has done."""
COUNTS = {"Baseline": 6190, "Best clean": 3560}
"""Images that the models classify correctly when clean."""


def add_live_study(path: Path, now: float = NOW, *, at: Phase = "robust") -> dict[str, str]:
    """Add the study to a built home; returns the ids of its runs by their roles, and ``study``."""
    home = FixedHome(path, now)
    poster = big_study().model_copy(update={"name": "night"})
    base, robust = poster.child("baseline"), poster.child("robust")
    assert isinstance(base, TrainSpec)
    assert isinstance(robust, TrainSpec)
    epochs = EPOCHS if at == "robust" else float(robust.epochs)
    took = {"baseline": 9.0 * base.epochs + 10, "robust": 60.0 * epochs + 10, "attack": 12.0}
    if at == "robust":
        del took["attack"]
    ago = sum(took.values()) + 10
    ids = {"study": home.run(poster, ago, "dd01")}
    family = {"parent": ids["study"]}
    children: list[dict[str, Any]] = []
    starts = ago - 5
    for role, spec, done in (
        ("baseline", base, float(base.epochs)),
        ("robust", robust, epochs),
    ):
        events = training_events(spec, done, 9.0 if role == "baseline" else 60.0)
        is_over = role == "baseline" or at == "attack"
        result = _result(events, took[role]) if is_over else None
        if is_over:
            events.append({"t": took[role], "kind": "ended", "state": "completed"})
        else:
            events.append({"t": starts - 1, "kind": "heartbeat", "stalled_s": 0.2})
        suffix = "dd02" if role == "baseline" else "dd03"
        ids[role] = home.run(
            spec, starts, suffix, role=role, events=events, result=result, **family
        )
        children += _child(ids[role], role, ago - starts, took[role], is_over=is_over)
        starts -= took[role]
    if at == "attack":
        ids["attack"] = _attack(home, poster, ids, starts, family)
        children += _child(ids["attack"], "attack", ago - starts, 12.0, is_over=False)
    _write_study(home, ids["study"], ago, children)
    return ids


def _result(events: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    last = next(e for e in reversed(events) if e.get("every") == "epoch")
    best = {e["name"]: e for e in events if e["kind"] == "checkpoint"}
    keys = ("epoch", "step", "monitor", "value")
    return {
        "state": "completed",
        "seconds": seconds,
        "last": {"epoch": last["epoch"], **last["values"]},
        "checkpoints": {name: {k: e[k] for k in keys} for name, e in best.items()},
    }


def _child(
    run: str, role: str, begun: float, took: float, *, is_over: bool
) -> list[dict[str, Any]]:
    event = {"kind": "child", "run": run, "role": role}
    started = {**event, "t": begun, "state": "running"}
    return [started, {**event, "t": begun + took, "state": "completed"}] if is_over else [started]


def _attack(
    home: FixedHome, poster: Any, ids: dict[str, str], ago: float, family: dict[str, Any]
) -> str:
    """An attack run that has ended with the baseline and attacks the second model."""
    trained = (
        (ids["baseline"], "best_clean"),
        (ids["robust"], "best_clean"),
        (
            ids["robust"],
            "best_robust",
        ),
    )
    spec = poster.attack.model_copy(
        update={
            "checkpoints": tuple(
                CheckpointRef(run=run, checkpoint=checkpoint, label=label)
                for (run, checkpoint), label in zip(trained, ROWS, strict=True)
            )
        }
    )
    events: list[dict[str, Any]] = [
        {"t": 1.0, "kind": "started", "attempt": 1, "resumed_from": None, "host": "gpu-7"},
        _over(4.0, "Baseline", "pgd-targeted", 5710),
        _over(8.0, "Baseline", "pgd-untargeted", 6190),
        attack_event(11.0, "Best clean", "pgd-targeted", 1210, COUNTS["Best clean"], 7),
        {"t": ago - 1, "kind": "heartbeat", "stalled_s": 0.2},
    ]
    return home.run(spec, ago, "dd04", role="attack", events=events, **family)


def _over(t: float, model: str, attack: str, successes: int) -> dict[str, Any]:
    correct = COUNTS[model]
    tally = {
        "n": 10_000,
        "correct": correct,
        "successes": successes,
        "robust": correct - successes,
        "seconds": 3.4,
    }
    observed = {"eps": 8 / 255, "as_found": True, "largest": 8 / 255, "lowest": 0.0, "highest": 1.0}
    cell = {"levels": [{"eps": 8 / 255, "tally": tally, "observed": observed}]}
    return {**attack_event(t, model, attack, correct, correct, successes), "cell": cell}


def _write_study(home: FixedHome, study: str, ago: float, children: list[dict[str, Any]]) -> None:
    created = home.now - ago
    events: list[dict[str, Any]] = [
        {"t": 1.0, "kind": "started", "attempt": 1, "resumed_from": None, "host": "gpu-7"},
        *children,
        {"t": ago - 2, "kind": "heartbeat", "stalled_s": 0.0},
    ]
    lines = [{"v": 1, **event, "t": created + event["t"]} for event in events]
    folder = home.path / "runs" / study
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
