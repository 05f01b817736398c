"""The same thing asked for with several seeds: each figure's mean and standard deviation.

Reads what attacks and trainings have left and counts nothing anew. Only seeds are averaged over:
runs that differ in anything else are refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from runs.datasets import DATASETS
from runs.errors import NotFoundError, UserError
from runs.intervals import mean_and_std
from runs.results import NO_PART_OF_THE_THREAT, Row, first_difference, model_label, tables
from runs.spec import TrainSpec
from runs.store import Run, Store

NO_PART_OF_THE_RECIPE = ("name", "device", "threads", "share", "data_dir", "seed")
"""Fields that the trainings of one recipe may differ in."""


def figure(values: Iterable[float | None]) -> dict[str, Any]:
    """One rate over seeds, in their order: ``values``, ``n_seeds`` that have one (a model that is
    never right has no success rate), and ``mean`` and ``std`` of these.

    ``std`` is the sample standard deviation; None for fewer than two values.
    """
    every = list(values)
    known = [value for value in every if value is not None]
    mean, std = mean_and_std(known)
    return {"mean": mean, "std": std, "values": every, "n_seeds": len(known)}


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


def mean_over_seeds(store: Store, words: Iterable[str]) -> dict[str, Any]:
    """The comparison table of the runs named, with one row for all seeds of a model.

    Words are those of :func:`runs.results.compare`. The result has ``threat_model`` (without its
    seed), ``seeds`` and ``evaluation_seeds`` (of the trainings and of the attacks, in the order of
    every ``values``), and ``rows`` with ``model``, ``checkpoint``, ``runs``, ``evaluations``,
    ``n`` (images), ``accuracy`` and ``attacks``; each rate is a :func:`figure`.

    Raises:
        NotFoundError: a run or a row's training doesn't exist, or has not been attacked.
        UserError: runs differ in more than seeds, a seed occurs twice, or a model lacks one.
    """
    parts = tables(store, words)
    first_word, first = parts[0]
    besides = (*NO_PART_OF_THE_THREAT, "seed")
    samples: dict[tuple[str, str, int], _Sample] = {}
    for word, part in parts:
        threat = part["threat_model"]
        if difference := first_difference(first["threat_model"], threat, besides):
            raise UserError(
                f"{word} and {first_word} can't stand in one mean: they differ in {difference}"
            )
        for row in part["rows"]:
            key = (row["run"], row["checkpoint"], threat["seed"])
            samples.setdefault(key, _sample(store, row, threat["seed"]))
    groups: dict[str, list[_Sample]] = {}
    for sample in sorted(samples.values(), key=lambda sample: sample.seeds):
        groups.setdefault(sample.label, []).append(sample)
    for group in groups.values():
        _check_recipe(group)
    seeds = _common_seeds(groups)
    order = dict.fromkeys(sample.label for sample in samples.values())
    return {
        "threat_model": {k: v for k, v in first["threat_model"].items() if k != "seed"},
        "seeds": [training for training, _ in seeds],
        "evaluation_seeds": [evaluation for _, evaluation in seeds],
        "rows": [_mean_row(label, [one.row for one in groups[label]]) for label in order],
    }


def _sample(store: Store, row: Row, evaluation_seed: int) -> _Sample:
    training = Run(store.folder / str(row["run"]))
    spec = training.spec if training.kind == "train" else None
    if not isinstance(spec, TrainSpec):
        raise NotFoundError(
            f"{row['model']} was trained by {row['run']}, which is no training of this home: "
            f"nobody knows whether it differs in its seed alone"
        )
    return _Sample(model_label(spec.mode, row["checkpoint"]), row, spec, evaluation_seed)


def _check_recipe(group: Sequence[_Sample]) -> None:
    first, *others = group
    fields = first.training.model_dump()
    for before, other in zip(group, others, strict=False):
        one, its = first.row["run"], other.row["run"]
        if difference := first_difference(
            fields, other.training.model_dump(), NO_PART_OF_THE_RECIPE
        ):
            raise UserError(f"{its} and {one} can't stand in one mean: they differ in {difference}")
        if before.seeds == other.seeds:
            raise UserError(
                f"{before.row['run']} and {its} are of the same seed {other.seeds[0]}: "
                f"a seed counts once"
            )


def _common_seeds(groups: dict[str, list[_Sample]]) -> list[tuple[int, int]]:
    """(training, evaluation) of each sample of a model; the same ones for every model."""
    (first_label, first), *others = groups.items()
    expected = [sample.seeds for sample in first]
    for label, group in others:
        if [sample.seeds for sample in group] != expected:
            own, its = (
                ", ".join(str(sample.seeds[0]) for sample in some) for some in (group, first)
            )
            raise UserError(
                f"{label} has the seeds {own}, {first_label} {its}: every row needs the same"
            )
    trainings = [training for training, _ in expected]
    if len(set(trainings)) not in (1, len(trainings)):
        raise UserError(
            f"the training seeds {', '.join(map(str, trainings))} must all differ, or be one that "
            f"was attacked with several seeds"
        )
    return expected


def _mean_row(label: str, rows: Sequence[Row]) -> dict[str, Any]:
    first = rows[0]
    return {
        "model": label,
        "checkpoint": first["checkpoint"],
        "runs": [row["run"] for row in rows],
        "evaluations": [row.get("evaluation") for row in rows],
        "n": first["n"],
        "accuracy": figure(row["accuracy"] for row in rows),
        "attacks": {
            name: _mean_attack([row["attacks"][name] for row in rows]) for name in first["attacks"]
        },
    }


def _mean_attack(cells: Sequence[Any]) -> dict[str, Any] | list[dict[str, Any]]:
    """One attack's cells, with several ε one for each."""
    if isinstance(cells[0], list):
        return [_mean_cell(levels) for levels in zip(*cells, strict=True)]
    return _mean_cell(cells)


def _mean_cell(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rates = ("success_rate", "robust_accuracy")
    return {"eps": cells[0]["eps"], **{k: figure(cell[k] for cell in cells) for k in rates}}


def trainings_over_seeds(trainings: Sequence[Run]) -> dict[str, Any]:
    """Completed trainings of one recipe, with the validation figures of their best checkpoints.

    ``rows`` has ``run``, ``seed``, ``best_clean`` (clean accuracy of that checkpoint) and
    ``best_robust`` (robust accuracy of that one); beside it each of the two is a :func:`figure`,
    and ``data``, ``split``, ``n`` (images) and ``attack`` say of what.
    """
    rows = []
    for run in trainings:
        kept = (run.result or {})["checkpoints"]
        best = {name: kept.get(name, {}).get("value") for name in ("best_clean", "best_robust")}
        rows.append({"run": run.id, "seed": run.raw_spec["seed"], **best})
    spec = trainings[0].spec
    assert isinstance(spec, TrainSpec)
    return {
        "data": DATASETS[spec.data].title,
        "split": "validation",
        "n": (trainings[0].result or {})["val_images"],
        "attack": spec.validation.describe(),
        "seeds": [row["seed"] for row in rows],
        "rows": rows,
        **{name: figure(row[name] for row in rows) for name in ("best_clean", "best_robust")},
    }
