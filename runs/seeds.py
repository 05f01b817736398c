"""Several seeds of the same request: the mean and standard deviation of each figure.

Reads the results of attacks and trainings and counts nothing anew. It averages over seeds alone:
runs that differ in anything else are refused.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from runs.datasets import DATASETS
from runs.errors import NotFoundError, UserError
from runs.result_types import Cell, Row, ThreatModel
from runs.results import first_difference, model_label, tables
from runs.spec import PLACE, WATCH, TrainSpec
from runs.store import Run, Store

MAY_DIFFER_IN_A_MEAN = (*PLACE, *WATCH, "seed")
"""Fields that the trainings of one recipe may differ in."""
MAY_DIFFER_IN_AN_EVALUATION = ("precision", "seed")
"""Fields that the threat models of one mean may differ in."""


class Figure(TypedDict):
    """One rate over seeds, in the order of the seeds."""

    mean: float | None
    """Of the known values; None where there is none."""
    std: float | None
    """Sample standard deviation (divisor n − 1); None for fewer than two known values."""
    values: list[float | None]
    """A model that is never right has no success rate: None."""
    n_seeds: int
    """How many values are known."""


class MeanCell(TypedDict):
    """One attack at one ε, over seeds."""

    eps: float | None
    success_rate: Figure
    robust_accuracy: Figure


class MeanRow(TypedDict):
    """One model, over seeds."""

    model: str
    checkpoint: str | None
    runs: list[str | None]
    evaluations: list[str | None]
    n: int
    """Evaluated images of each seed."""
    accuracy: Figure
    attacks: dict[str, list[MeanCell]]


class MeanTable(TypedDict):
    """The comparison table over seeds."""

    threat_model: ThreatModel
    """Without its seed."""
    seeds: list[int]
    """Of the trainings, in the order of every ``values``."""
    evaluation_seeds: list[int]
    """Of the attacks, in the same order."""
    rows: list[MeanRow]


class SeedRow(TypedDict):
    """One training: its seed, and the validation figures of its best checkpoints."""

    run: str
    seed: int
    best_clean: float | None
    """Clean accuracy of that checkpoint."""
    best_robust: float | None
    """Robust accuracy of that checkpoint."""


class SeedTable(TypedDict):
    """Trainings of one recipe with several seeds."""

    data: str
    split: str
    n: int
    """Validation images."""
    attack: str
    """Wording of the validation's attack."""
    seeds: list[int]
    rows: list[SeedRow]
    best_clean: Figure
    best_robust: Figure


def figure(values: Iterable[float | None]) -> Figure:
    """A rate over seeds from its values in the order of the seeds."""
    every = list(values)
    known = [value for value in every if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "values": every,
        "n_seeds": len(known),
    }


@dataclass(frozen=True)
class _Sample:
    """A row of a table, with the seeds of its training and of its evaluation."""

    label: str
    row: Row
    training: TrainSpec
    evaluation_seed: int

    @property
    def seeds(self) -> tuple[int, int]:
        return self.training.seed, self.evaluation_seed


def mean_over_seeds(store: Store, words: Iterable[str]) -> MeanTable:
    """The comparison table of the named runs, with one row for all seeds of a model.

    ``words`` name runs as in :func:`runs.results.compare`.

    Raises:
        NotFoundError: a run or a row's training doesn't exist, or has no evaluation.
        UserError: runs differ in more than seeds, a seed occurs twice, or a model lacks a seed.
    """
    parts = tables(store, words)
    first_word, first = parts[0]
    samples: dict[tuple[str | None, str | None, int], _Sample] = {}
    for word, part in parts:
        threat = part["threat_model"]
        if difference := first_difference(
            first["threat_model"], threat, MAY_DIFFER_IN_AN_EVALUATION
        ):
            raise UserError(
                f"{word} and {first_word} can't stand in one mean: they differ in {difference}"
            )
        for row in part["rows"]:
            seed = threat.get("seed", 0)
            key = (row.get("run"), row.get("checkpoint"), seed)
            samples.setdefault(key, _sample(store, row, seed))
    groups: dict[str, list[_Sample]] = {}
    for sample in sorted(samples.values(), key=lambda sample: sample.seeds):
        groups.setdefault(sample.label, []).append(sample)
    for group in groups.values():
        _check_recipe(group)
    seeds = _common_seeds(groups)
    order = dict.fromkeys(sample.label for sample in samples.values())
    threat_model = first["threat_model"].copy()
    threat_model.pop("seed", None)
    return {
        "threat_model": threat_model,
        "seeds": [training for training, _ in seeds],
        "evaluation_seeds": [evaluation for _, evaluation in seeds],
        "rows": [_mean_row(label, [sample.row for sample in groups[label]]) for label in order],
    }


def _sample(store: Store, row: Row, evaluation_seed: int) -> _Sample:
    run_id = row.get("run")
    training = Run(store.folder / str(run_id))
    spec = training.spec if training.kind == "train" else None
    if not isinstance(spec, TrainSpec):
        raise NotFoundError(
            f"{row['model']} was trained by {run_id}, which is not a training of this home: "
            f"whether it differs in its seed alone can't be checked"
        )
    label = model_label(spec.mode, row.get("checkpoint") or "")
    return _Sample(label, row, spec, evaluation_seed)


def _check_recipe(group: Sequence[_Sample]) -> None:
    first, *others = group
    fields = first.training.model_dump()
    for before, other in zip(group, others, strict=False):
        run, other_run = first.row.get("run"), other.row.get("run")
        if difference := first_difference(
            fields, other.training.model_dump(), MAY_DIFFER_IN_A_MEAN
        ):
            raise UserError(
                f"{other_run} and {run} can't stand in one mean: they differ in {difference}"
            )
        if before.seeds == other.seeds:
            raise UserError(
                f"{before.row.get('run')} and {other_run} have the same seed {other.seeds[0]}: "
                f"a seed counts once"
            )


def _common_seeds(groups: dict[str, list[_Sample]]) -> list[tuple[int, int]]:
    """(training, evaluation) of each sample of a model; the same ones for every model."""
    (first_label, first), *others = groups.items()
    expected = [sample.seeds for sample in first]
    for label, group in others:
        if [sample.seeds for sample in group] != expected:
            seeds, first_seeds = (
                ", ".join(str(sample.seeds[0]) for sample in samples) for samples in (group, first)
            )
            raise UserError(
                f"{label} has the seeds {seeds}, {first_label} has {first_seeds}: every row needs "
                f"the same"
            )
    trainings = [training for training, _ in expected]
    if len(set(trainings)) not in (1, len(trainings)):
        raise UserError(
            f"the training seeds {', '.join(map(str, trainings))} must all differ, or be one that "
            f"was attacked with several seeds"
        )
    return expected


def _mean_row(label: str, rows: Sequence[Row]) -> MeanRow:
    first = rows[0]
    return {
        "model": label,
        "checkpoint": first.get("checkpoint"),
        "runs": [row.get("run") for row in rows],
        "evaluations": [row.get("evaluation") for row in rows],
        "n": first.get("n", 0),
        "accuracy": figure(row["accuracy"] for row in rows),
        "attacks": {
            name: [
                _mean_cell(cells)
                for cells in zip(*(row["attacks"][name] for row in rows), strict=True)
            ]
            for name in first["attacks"]
        },
    }


def _mean_cell(cells: Sequence[Cell]) -> MeanCell:
    return {
        "eps": cells[0]["eps"],
        "success_rate": figure(cell["success_rate"] for cell in cells),
        "robust_accuracy": figure(cell["robust_accuracy"] for cell in cells),
    }


def trainings_over_seeds(trainings: Sequence[Run]) -> SeedTable:
    """Completed trainings of one recipe, with the validation figures of their best checkpoints."""
    rows: list[SeedRow] = []
    images = 0
    for run in trainings:
        result = run.result
        assert result is not None
        images = result.get("val_images", 0)
        checkpoints = result.get("checkpoints", {})
        values = {
            name: checkpoints[name].get("value") if name in checkpoints else None
            for name in ("best_clean", "best_robust")
        }
        rows.append(
            {
                "run": run.id,
                "seed": run.raw_spec["seed"],
                "best_clean": values["best_clean"],
                "best_robust": values["best_robust"],
            }
        )
    spec = trainings[0].spec
    assert isinstance(spec, TrainSpec)
    return {
        "data": DATASETS[spec.data].title,
        "split": "validation",
        "n": images,
        "attack": spec.validation.describe(),
        "seeds": [row["seed"] for row in rows],
        "rows": rows,
        "best_clean": figure(row["best_clean"] for row in rows),
        "best_robust": figure(row["best_robust"] for row in rows),
    }
