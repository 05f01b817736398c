"""Studies of several seeds, written to disk as workers leave them."""

from typing import Any

from runs.jsonfiles import write_json
from runs.presets import preset
from runs.result_types import file_rows
from runs.results import attack_cell, row
from runs.spec import StudySpec, TrainSpec
from runs.store import Run, Store

DEMO = preset("demo")
SEEDS = (0, 1, 7)
CORRECT = {0: 50, 1: 60, 7: 76}
"""Images of 100 that each seed's models classify correctly."""


def threat(seed: int = 0, **changes: Any) -> Any:
    attack = {"name": "pgd-untargeted", "text": "PGD-20", "targets": None, "eps": 8 / 255}
    common = {"data": "CIFAR-100", "split": "test", "n": 100, "precision": "fp32"}
    return {**common, "seed": seed, "attacks": [attack], **changes}


def train_spec(seed: int, mode: str = "robust", **changes: Any) -> TrainSpec:
    spec = DEMO.child("baseline" if mode == "baseline" else "robust")
    assert isinstance(spec, TrainSpec)
    return spec.model_copy(update={"seed": seed, **changes})


def end(run: Run, **fields: Any) -> Run:
    write_json(run.path / "result.json", {"v": 1, "state": "completed", **fields})
    return run


def a_row(run: Run, checkpoint: str, correct: int, *eps: float) -> Any:
    cells = [
        attack_cell(eps=e, n=100, correct=correct, successes=correct - 10 - n, robust=10 + n)
        for n, e in enumerate(eps or (8 / 255,))
    ]
    attacks = {"pgd-untargeted": cells}
    name = f"{run.name}: {checkpoint}"
    counts: dict[str, Any] = {"n": 100, "correct": correct, "attacks": attacks}
    return row(model=name, run=run.id, checkpoint=checkpoint, **counts)


def a_study(store: Store, seed: int, evaluation: Any = None, **recipe: Any) -> Run:
    """A study's own result, with the trainings that its rows name."""
    spec: StudySpec = DEMO.model_copy(update={"seed": seed})
    study = store.create(spec)
    robust = store.create(train_spec(seed, **recipe), parent=study.id, role="robust")
    plain = store.create(train_spec(seed, "baseline"), parent=study.id, role="baseline")
    rows = [
        a_row(plain, "best_clean", CORRECT[seed] + 5),
        a_row(robust, "best_clean", CORRECT[seed]),
        a_row(robust, "best_robust", CORRECT[seed] - 2),
    ]
    threat_model = evaluation or threat(seed)
    return end(study, threat_model=threat_model, rows=file_rows(rows, threat_model))
