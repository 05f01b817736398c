"""A home of runs in every state, the same each time: what screens are tested and drawn on."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runs.overrides import override
from runs.presets import preset
from runs.results import attack_cell, row, table
from runs.spec import AnySpec, AttackSpec, CheckpointRef, StudySpec, TrainSpec
from runs.store import Run

NOW = 1_795_400_000.0
"""The present of this home, in unix seconds: 23 November 2026, 02:13:20 UTC."""
ROWS = ("Baseline", "Best clean", "Best robust")
VERSIONS = {"python": "3.12.3", "torch": "2.11.0", "pytorch_lightning": "2.6.6"}


class FixedHome:
    """Builds runs by hand, file by file, as workers leave them."""

    def __init__(self, path: Path, now: float = NOW) -> None:
        self.path, self.now = path, now
        (path / "runs").mkdir(parents=True, exist_ok=True)

    def run(
        self,
        spec: AnySpec,
        ago: float,
        suffix: str,
        *,
        parent: str | None = None,
        role: str | None = None,
        events: list[dict[str, Any]] | None = None,
        result: dict[str, Any] | None = None,
        log: str = "",
        **meta: Any,
    ) -> str:
        """One run's folder, created ``ago`` seconds before the present; returns its id.

        An event's ``t`` is told in seconds since the run was created.
        """
        created = self.now - ago
        stamp = datetime.fromtimestamp(created, UTC).strftime("%Y%m%d-%H%M%S")
        slug = spec.mode if isinstance(spec, TrainSpec) else spec.kind
        folder = self.path / "runs" / f"{stamp}-{slug}-{suffix}"
        folder.mkdir()
        header = {"id": folder.name, "created": created, "parent": parent, "role": role}
        fields = {**spec.model_dump(mode="json"), "run": header}
        (folder / "spec.json").write_text(json.dumps(fields))
        lines = [{"v": 1, **event, "t": created + event["t"]} for event in events or ()]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "events.jsonl").write_text(text)
        (folder / "worker.log").write_text(log)
        if result is not None:
            (folder / "result.json").write_text(json.dumps(result))
        if meta:
            (folder / "meta.json").write_text(json.dumps(meta))
        return folder.name


def big_study() -> StudySpec:
    """The study whose figures are invented here: of 30 robust epochs, whatever the preset takes."""
    return override(preset("poster"), {"robust.epochs": 30, "robust.label_smoothing": 0.0})


def training_events(
    spec: TrainSpec, epochs: float, seconds: float = 60.0, *, start: float = 3.0
) -> list[dict[str, Any]]:
    """A training's course over so many epochs; a broken number stands for an epoch at work."""
    robust = spec.mode == "robust"
    events: list[dict[str, Any]] = [
        {
            "t": start,
            "kind": "started",
            "attempt": 1,
            "resumed_from": None,
            "host": "gpu-7",
            "pid": 4242,
            "device": "cuda:0",
            "precision": "bf16",
            "device_name": "NVIDIA H100 80GB HBM3",
            "threads": 16,
            "versions": VERSIONS,
        }
    ]
    steps = 375
    for epoch in range(int(epochs)):
        share = (epoch + 1) / spec.epochs
        t = start + (epoch + 1) * seconds
        for quarter in range(4):
            at = (epoch + (quarter + 1) / 4) / spec.epochs
            wiggle = 0.08 * math.sin(7.0 * (4 * epoch + quarter))
            values = {"train_loss": 4.6 - 3.0 * at + wiggle, "lr": 0.2 * (1 - abs(2 * at - 0.6))}
            values["train_accuracy"] = 0.02 + 0.6 * at + wiggle / 4
            step = epoch * steps + (quarter + 1) * steps // 4
            events.append(_metric(t - (3 - quarter) * seconds / 4, epoch, step, "step", values))
        clean = (0.36 if robust else 0.63) * (1 - math.exp(-3.2 * share)) / 0.96
        hard = 0.21 * (1 - math.exp(-4 * share)) * (1.02 - 0.1 * share) if robust else 0.0
        values = {
            "train_loss": 4.6 - 2.9 * share,
            "train_accuracy": 0.02 + 0.6 * share,
            "val_loss": 4.5 - 2.2 * share + 0.3 * share**3,
            "val_accuracy": clean,
            "val_robust_accuracy": hard,
            "lr": 0.2 * (1 - share),
            "seconds": seconds,
        }
        events.append(_metric(t, epoch, (epoch + 1) * steps, "epoch", values))
        for name, monitor, value in (
            ("best_clean", "val_accuracy", clean),
            ("best_robust", "val_robust_accuracy", hard),
        ):
            if name == "best_clean" or epoch < 0.8 * spec.epochs:
                kept = {"name": name, "epoch": epoch, "step": (epoch + 1) * steps}
                more = {"monitor": monitor, "value": value}
                events.append({"t": t, "kind": "checkpoint", **kept, **more})
    within = epochs - int(epochs)
    if within:
        done = {"epoch": int(epochs), "epochs": spec.epochs, "done": int(within * steps)}
        more = {"total": steps, "unit": "batches", "rate": steps / seconds}
        more["eta_s"] = (spec.epochs - epochs) * seconds
        t = start + epochs * seconds
        events.append({"t": t, "kind": "progress", "task": "train", **done, **more})
    events.append(_system(start + epochs * seconds))
    return events


HALVED = {
    "level": "warning",
    "message": "out of memory: a batch of 4096 images goes in 2 parts, whose gradients are "
    "accumulated; BatchNorm sees each part alone",
}


def _metric(
    t: float, epoch: int, step: int, every: str, values: dict[str, float]
) -> dict[str, Any]:
    place = {"epoch": epoch, "step": step, "every": every}
    return {"t": t, "kind": "metric", **place, "values": values}


def _system(t: float) -> dict[str, Any]:
    gpu = {
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "utilisation_percent": 97,
        "memory_used": 11_400_000_000,
        "memory_total": 85_520_000_000,
        "temperature_c": 61,
        "power_w": 612.0,
    }
    host = {
        "cpu_percent": 14.0,
        "memory_used": 21_000_000_000,
        "memory_total": 135_000_000_000,
        "worker_memory": 3_000_000_000,
    }
    return {"t": t, "kind": "system", **host, "gpus": [gpu]}


def attack_event(
    t: float, model: str, attack: str, done: int, total: int, k: int
) -> dict[str, Any]:
    """An attack's progress; with ``done == total`` its end."""
    event = {"t": t, "kind": "attack", "model": model, "attack": attack, "rate": 1840.0}
    over: dict[str, Any] = {"cell": {"levels": []}} if done == total else {}
    return {**event, "done": done, "total": total, "successes": k, **over}


def evaluation(spec: AttackSpec, runs: dict[str, str]) -> dict[str, Any]:
    """A table with figures of the right order, for the runs of its rows."""
    figures = {
        "Baseline": (6190, 5710, 6190),
        "Best clean": (3560, 61, 1640),
        "Best robust": (3490, 52, 1500),
    }
    rows = []
    for label, checkpoint in zip(ROWS, ("best_clean", "best_clean", "best_robust"), strict=True):
        correct, aimed, wrong = figures[label]
        attacks: dict[str, Any] = {}
        for attack, k in zip(spec.attacks, (aimed, wrong), strict=True):
            attacks[attack.name] = attack_cell(
                eps=attack.pgd.eps, n=10_000, correct=correct, successes=k, robust=correct - k
            )
        rows.append(
            row(
                model=label,
                run=runs[label],
                checkpoint=checkpoint,
                n=10_000,
                correct=correct,
                attacks=attacks,
            )
        )
    threat: Any = {
        "data": "CIFAR-100",
        "n": 10_000,
        "seed": 0,
        "attacks": [
            {
                "name": a.name,
                "text": a.pgd.describe(),
                "targets": a.targets,
                "norm": a.pgd.norm,
                "eps": a.pgd.eps,
                "step_size": a.pgd.step_size,
            }
            for a in spec.attacks
        ],
        **({"epsilons": list(spec.epsilons)} if spec.epsilons else {}),
    }
    checks = [
        check("perturbations within ε", "pass", 2.2e-8, "beyond ε"),
        check("model in eval mode", "pass", 0, "modules", "Baseline"),
        check("logits, not probabilities", "pass", 0.0, "% of the answers", "Baseline"),
        check("5× the steps find no more", "pass", 0.4, "points", "Best robust"),
        check(
            "margin loss finds little beyond cross-entropy",
            "warn",
            2.4,
            "points",
            "Best robust",
            "the margin loss is the stronger attack here: add --attack pgd-margin, or "
            "apgd-targeted",
        ),
        check(
            "Square finds nothing beyond white-box attacks",
            "skipped",
            None,
            "points",
            None,
            "--sanity full asks for it",
        ),
    ]
    return {"state": "completed", "seconds": 31.0, "sanity": checks, **table(threat, rows)}


def check(
    name: str,
    verdict: str,
    value: float | None,
    unit: str,
    model: str | None = None,
    advice: str | None = None,
) -> dict[str, object]:
    """A check as the sanity panel of an attack run stores it."""
    return {
        "check": name,
        "verdict": verdict,
        "value": value,
        "unit": unit,
        "model": model,
        "advice": advice,
    }


EPSILONS = tuple(n / 255 for n in (0, 1, 2, 4, 8, 16, 32))


def eps_evaluation(runs: dict[str, str], epsilons: tuple[float, ...] = EPSILONS) -> dict[str, Any]:
    """A table with several ε: robust accuracy falls from the clean as exp(-ε/scale)."""
    scales = {"Baseline": (1.5, 0.6), "Best clean": (30.0, 8.0), "Best robust": (45.0, 14.0)}
    spec = AttackSpec(epsilons=epsilons)
    result = evaluation(spec, runs)
    for one in result["rows"]:
        correct = one["correct_k"]
        for attack, scale in zip(spec.attacks, scales[one["model"]], strict=True):
            levels = []
            for eps in epsilons:
                robust = round(correct * math.exp(-255 * eps / scale))
                counts = {"correct": correct, "successes": correct - robust, "robust": robust}
                levels.append(attack_cell(eps=eps, n=10_000, **counts))
            one["attacks"][attack.name] = levels
    return result


def add_eps_curve(path: Path, ids: dict[str, str], now: float = NOW) -> str:
    """An attack run with several ε on the runs of a built home; returns its id."""
    spec = Run(path / "runs" / ids["attack"]).spec
    runs = dict(zip(ROWS, (ids["baseline"], ids["robust"], ids["robust"]), strict=True))
    return FixedHome(path, now).run(
        *(spec.model_copy(update={"epsilons": EPSILONS}), 60, "ee01"),
        events=[{"t": 2.0, "kind": "started", "attempt": 1, "resumed_from": None}],
        result=eps_evaluation(runs),
    )


def write_examples(path: Path) -> None:
    """An examples.npz of drawn pictures: discs and stripes, two models, two attacks."""
    import numpy as np

    models, attacks, count, rng = 2, 2, 3, np.random.default_rng(0)
    y, x = np.mgrid[0:32, 0:32]
    images = np.zeros((count, 3, 32, 32), np.uint8)
    for n in range(count):
        disc = ((x - 15.5) ** 2 + (y - 15.5) ** 2) < (7 + 3 * n) ** 2
        images[n, 0] = 60 + 150 * disc
        images[n, 1] = 4 * x + 60
        images[n, 2] = np.where(disc, 40, 6 * y)
    delta = rng.choice([-8, 8], size=(models, attacks, count, 3, 32, 32)) / 255
    adversarial = np.clip(images / 255 + delta, 0, 1).astype(np.float32)
    np.savez_compressed(
        path,
        images=images,
        labels=np.array([0, 1, 2]),
        indices=np.array([12, 40, 77]),
        adversarial=adversarial,
        clean_predictions=np.array([[0, 1, 2], [0, 1, 2]]),
        clean_confidences=np.array([[0.97, 0.91, 0.88], [0.61, 0.55, 0.43]]),
        predictions=np.array([[[3, 3, 0], [2, 0, 1]], [[0, 1, 2], [2, 1, 0]]]),
        confidences=np.full((models, attacks, count), 0.72, np.float32),
        targets=np.array([[[3, 3, 0], [-1] * 3], [[3, 3, 0], [-1] * 3]]),
        models=np.array(["Baseline", "Best robust"]),
        attacks=np.array(["pgd-targeted", "pgd-untargeted"]),
        classes=np.array(["apple", "aquarium fish", "baby", "bear"]),
    )


def build(path: Path, now: float = NOW) -> dict[str, str]:
    """The home; returns the runs' ids by what they are."""
    home = FixedHome(path, now)
    poster = big_study()
    ids: dict[str, str] = {}

    # A study that has come to its end, an hour ago.
    ids["study"] = home.run(poster, 4200, "aa01", tags=["poster"], note="first complete study")
    base, robust = poster.child("baseline"), poster.child("robust")
    assert isinstance(base, TrainSpec)
    assert isinstance(robust, TrainSpec)
    family = {"parent": ids["study"]}
    for role, spec, ago, suffix in (
        ("baseline", base, 4190, "aa02"),
        ("robust", robust, 3900, "aa03"),
    ):
        events = training_events(spec, spec.epochs, 9.0 if role == "baseline" else 60.0)
        last = next(e for e in reversed(events) if e.get("every") == "epoch")
        best = {e["name"]: e for e in events if e["kind"] == "checkpoint"}
        keys = ("epoch", "step", "monitor", "value")
        result: dict[str, Any] = {
            "state": "completed",
            "seconds": 290.0 if role == "baseline" else 1810.0,
            "last": {"epoch": last["epoch"], **last["values"]},
            "checkpoints": {name: {k: e[k] for k in keys} for name, e in best.items()},
        }
        ids[role] = home.run(spec, ago, suffix, role=role, events=events, result=result, **family)
    attack = poster.attack.model_copy(
        update={
            "checkpoints": (
                CheckpointRef(run=ids["baseline"], checkpoint="best_clean", label=ROWS[0]),
                CheckpointRef(run=ids["robust"], checkpoint="best_clean", label=ROWS[1]),
                CheckpointRef(run=ids["robust"], checkpoint="best_robust", label=ROWS[2]),
            )
        }
    )
    runs = dict(zip(ROWS, (ids["baseline"], ids["robust"], ids["robust"]), strict=True))
    result = evaluation(attack, runs)
    events = [{"t": 2.0, "kind": "started", "attempt": 1, "resumed_from": None}]
    for n, one in enumerate(result["rows"]):
        for name, cell in one["attacks"].items():
            total = cell["success_n"]
            end = attack_event(6.0 + 4 * n, one["model"], name, total, total, cell["success_k"])
            events.append(end)
    ids["attack"] = home.run(
        attack, 2080, "aa04", role="attack", events=events, result=result, **family
    )
    write_examples(path / "runs" / ids["attack"] / "examples.npz")
    children: list[dict[str, Any]] = [
        {"t": 5.0, "kind": "child", "run": ids[role], "role": role, "state": "completed"}
        for role in ("baseline", "robust", "attack")
    ]
    folder = path / "runs" / ids["study"]
    lines = [{"v": 1, **event, "t": now - 4200 + event["t"]} for event in children]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    own = {key: result[key] for key in ("state", "threat_model", "rows", "sanity")}
    (folder / "result.json").write_text(json.dumps({**own, "seconds": 2160.0}))

    # A training at work, in its eighth epoch, and an attack in its second model.
    mixed = robust.model_copy(update={"recipe": "mixed", "name": "mixed at 4", "epochs": 20})
    ids["running"] = home.run(
        *(mixed, 455, "bb01"),
        events=[*training_events(mixed, 7.5), {"t": 454, "kind": "heartbeat", "stalled_s": 0.2}],
        tags=["mixed"],
    )
    ids["attacking"] = home.run(
        *(attack, 12, "bb02"),
        events=[
            {"t": 1.0, "kind": "started", "attempt": 1, "resumed_from": None},
            attack_event(4.0, "Baseline", "pgd-targeted", 6190, 6190, 5710),
            attack_event(8.0, "Baseline", "pgd-untargeted", 6190, 6190, 6190),
            attack_event(11.0, "Best clean", "pgd-targeted", 1210, 3560, 7),
        ],
    )
    ids["queued"] = home.run(
        *(base, 9, "bb03"),
        events=[{"t": 8.0, "kind": "heartbeat", "phase": "queued", "stalled_s": 8.0}],
    )

    # What went wrong.
    refusal = "CUDA out of memory: the model and a batch of 4096 need 91 GB, the GPU has 80"
    ids["failed"] = home.run(
        *(robust.model_copy(update={"batch_size": 4096}), 90_000, "cc01"),
        events=[*training_events(robust, 0.1, 4.0), {"t": 9.0, "kind": "log", **HALVED}],
        result={"state": "failed", "seconds": 21.0, "error": {"message": refusal, "exit_code": 1}},
        log="starting\nallocating\n" + refusal + "\n",
    )
    interrupted = training_events(robust, 5)
    last = next(e for e in reversed(interrupted) if e.get("every") == "epoch")
    ids["interrupted"] = home.run(
        *(robust, 180_000, "cc02"),
        events=interrupted,
        result={"state": "interrupted", "seconds": 305.0, "last": {"epoch": 4, **last["values"]}},
    )
    ids["lost"] = home.run(robust, 260_000, "cc03", events=training_events(robust, 2))
    return ids
