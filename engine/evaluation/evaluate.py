"""Carry out an attack run: attack each model on the test split, and count.

Each model first classifies the clean images. Each attack then takes the images that the model
classifies correctly when clean; the others can be neither a success nor robust. The module knows
nothing about training loops and attack routines.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.datasets import load
from engine.data.image_folder import read_folder
from engine.data.pictures import Pictures
from engine.data.splits import balanced
from engine.devices import autocast_dtype
from engine.evaluation import attack_state
from engine.evaluation.attack_all import attack_all
from engine.evaluation.attack_progress import REPORT_EVERY_S
from engine.evaluation.corruptions import corrupted_accuracy
from engine.evaluation.examples import keep_examples
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.panel import sanity_panel
from engine.models.checkpoint import load_model
from engine.models.resnet import PictureClassifier
from engine.models.user_model import load_user_model, user_model_source
from engine.process.run_context import RunContext
from engine.world import ALONE, World
from runs.architectures import network_words
from runs.attack_table import attack_cells, threat_model
from runs.checksums import sha256_of
from runs.corruptions import SEVERITIES
from runs.datasets import DATASETS
from runs.errors import NotFoundError
from runs.event_types import AttackOutcome, ObservedExtremes
from runs.generated import generated_words
from runs.outcomes import FILE as OUTCOMES
from runs.outcomes import Outcomes, compare_pairs
from runs.result_types import Cell, Row, file_rows
from runs.results import row, table
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, CheckpointRef, ModelRef
from runs.store import Run
from runs.threat_model import Attack


def evaluate(
    context: RunContext, spec: AttackSpec, device: torch.device, world: World = ALONE
) -> dict[str, Any]:
    """Carry out an attack spec. A resumed run keeps the attacks that an earlier attempt finished.

    Several ranks share the batches of each attack and of corrupted images. Clean predictions,
    examples and the sanity panel are rank 0's alone.

    Args:
        context: of the run.
        spec: of the run.
        device: of this rank.
        world: the ranks.

    Returns:
        The fields of an attack run's result: threat model, rows, paired comparisons, sanity
        checks, precision. On a rank other than 0 nothing, once rank 0 has done all.

    Raises:
        StopRequested: a stop was requested.
        NotFoundError: a checkpoint is missing.
        UserError: a checkpoint is damaged or has another number of classes.
    """
    run = context.run
    test, classes = _test_pictures(context, spec)
    test = test.to(device)
    dtype = autocast_dtype(spec.precision, device)
    finished = {
        key: event["cell"] for key, event in read_snapshot(run).attacks.items() if "cell" in event
    }
    finished = world.agreed(finished)
    corrupted = world.agreed(_finished_corruptions(run, len(test)))
    outcomes = world.agreed(_outcomes(run, test, classes))
    rows: list[Row] = []
    observed: list[ObservedExtremes] = []
    models: list[ModelUnderAttack] = []
    for reference in spec.references:
        network = load_reference(reference, run, len(classes), _size(test)).to(device)
        model = ModelUnderAttack(network, reference.label, test, spec, dtype, context, world)
        correct = model.classify_clean()
        outcomes.clean[model.label] = _int16(model.logits.argmax(dim=1))
        attacks: dict[str, list[Cell]] = {}
        for attack in spec.attacks:
            earlier = finished.get((model.label, attack.name))
            outcome = _attack(model, attack, outcomes, earlier)
            observed += [level["observed"] for level in outcome["levels"]]
            attacks[attack.name] = attack_cells(outcome, len(test))
        corruptions = None
        if spec.corruptions is not None:
            earlier_counts = corrupted.get(model.label, {})
            corruptions = corrupted_accuracy(model, Path(spec.corruptions), earlier_counts)
        rows.append(
            row(
                model=model.label,
                n=len(test),
                correct=correct,
                attacks=attacks,
                evaluation=run.id,
                corruptions=corruptions,
                **_origin(reference, run),
            )
        )
        models.append(model)
    if world.rank > 0:
        world.wait_for_rank_0()
        return {}
    attack_state.forget(run.path)
    precision = "fp32" if dtype is None else "bf16"
    if spec.examples:
        keep_examples(run.path, models, spec, classes)
    comparison = table(threat_model(spec, len(test), precision), rows)
    fields = {
        "threat_model": comparison["threat_model"],
        "rows": file_rows(rows, comparison["threat_model"]),
        "paired": compare_pairs(run.path.parent, comparison),
        "sanity": sanity_panel(context, spec, models, observed, rows),
        "precision": precision,
    }
    world.wait_for_rank_0()
    return fields


def _attack(
    model: ModelUnderAttack,
    attack: Attack,
    outcomes: Outcomes,
    earlier: AttackOutcome | None,
) -> AttackOutcome:
    """The outcome of an attack: that of an earlier attempt where it is complete, else a new one.

    Args:
        model: the model to attack.
        attack: one of the attacks of its spec.
        outcomes: predictions on single images; those of a new attack are added and saved.
        earlier: the outcome in the events of an earlier attempt, if any.
    """
    names = [model.spec.level_name(level) for level in model.spec.levels(attack)]
    if earlier is not None and all((model.label, name) in outcomes.attacked for name in names):
        return earlier
    outcome, predictions = attack_all(model, attack)
    for name in names:
        outcomes.attacked[model.label, name] = _int16(predictions[name])
    if model.world.rank == 0:
        outcomes.save(model.context.run.path / OUTCOMES)
    return outcome


def _finished_corruptions(run: Run, n: int) -> dict[str, dict[str, list[int]]]:
    """Counts that an earlier attempt found on ``n`` images: by model and corruption."""
    counts: dict[str, dict[str, list[int]]] = {}
    for (model, corruption), event in read_snapshot(run).corruptions.items():
        if event["n"] == n and len(event["correct"]) == SEVERITIES:
            counts.setdefault(model, {})[corruption] = event["correct"]
    return counts


def load_reference(
    reference: CheckpointRef | ModelRef, run: Run, classes: int, size: tuple[int, int]
) -> PictureClassifier:
    """The network that a reference names, in eval mode, on the CPU.

    Args:
        reference: a checkpoint of the run's home, or a user's own network.
        run: the attack run.
        classes: number of classes of the data set.
        size: height and width of its images, in pixels.

    Raises:
        NotFoundError: the network is missing.
        UserError: it is damaged, or does not fit the data set.
    """
    if isinstance(reference, ModelRef):
        return load_user_model(reference, classes=classes, size=size)
    return load_model(run.home / reference.file, classes=classes, size=size)[0]


def _size(pictures: Pictures) -> tuple[int, int]:
    _, _, height, width = pictures.images.shape
    return height, width


def _origin(reference: CheckpointRef | ModelRef, run: Run) -> dict[str, Any]:
    """The fields of a row that say which network it is about."""
    if isinstance(reference, ModelRef):
        return {"run": None, "checkpoint": None, "source": user_model_source(reference)}
    return {
        "run": reference.run,
        "checkpoint": reference.checkpoint,
        "sha256": sha256_of(run.home / reference.file),
        **_training_words(run, reference),
    }


def _training_words(run: Run, reference: CheckpointRef) -> dict[str, str]:
    """Architecture and generated images of a training, in words; empty where its spec is unread."""
    training = Run(run.path.parent / reference.run)
    spec = training.raw_spec
    if not isinstance(width := spec.get("width"), int):
        return {}
    words = {"network": network_words(str(spec.get("arch", "resnet18")), width)}
    if file := spec.get("generated"):
        result = training.result
        count = None if result is None else result.get("generated_images")
        words["generated"] = generated_words(count, spec["generated_share"], Path(file).name)
    return words


def _test_pictures(context: RunContext, spec: AttackSpec) -> tuple[Pictures, tuple[str, ...]]:
    """The images to attack, on the CPU, and the names of the classes."""
    if spec.data in DATASETS:
        splits = load(spec.data, context.run.home, spec.data_dir)
        test = splits.test if spec.limit is None else balanced(splits.test, spec.limit)
        return test, splits.classes
    reported_at = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal reported_at
        context.stop.check()
        if time.monotonic() - reported_at >= REPORT_EVERY_S or done == total:
            reported_at = time.monotonic()
            context.events.write(
                "progress", task="reading", done=done, total=total, unit="images", rate=None
            )

    return read_folder(Path(spec.data), resize=spec.resize, limit=spec.limit, progress=report)


def _outcomes(run: Run, test: Pictures, classes: Sequence[str]) -> Outcomes:
    """The outcomes that an earlier attempt saved for the same images, else empty outcomes."""
    empty = Outcomes(_int16(test.labels), test.indices.numpy(force=True), classes)
    try:
        saved = Outcomes.load(run.path / OUTCOMES)
    except NotFoundError:
        return empty
    return saved if np.array_equal(saved.indices, empty.indices) else empty


def _int16(predictions: torch.Tensor) -> "np.ndarray[Any, np.dtype[np.int16]]":
    return predictions.to(torch.int16).numpy(force=True)
