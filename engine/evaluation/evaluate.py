"""Attack checkpoints on the test split, and count.

For each checkpoint: the clean accuracy, then each attack on the images that are classified
correctly when clean (the others can be neither a success nor robust).
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
from engine.evaluation.attack_progress import REPORT_EVERY_S
from engine.evaluation.counts import Tally
from engine.evaluation.examples import keep_examples
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.checks import Observed
from engine.evaluation.sanity.panel import sanity_panel
from engine.models.checkpoint import load_model
from engine.models.resnet import PictureClassifier
from engine.models.user_model import load_own, source
from engine.process.stop_signal import StopSignal
from runs.datasets import DATASETS, dataset_of
from runs.errors import NotFoundError
from runs.events import EventWriter
from runs.outcomes import FILE as OUTCOMES
from runs.outcomes import Outcomes, compare_pairs
from runs.results import attack_cell, row, table
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, CheckpointRef, ModelRef
from runs.store import Run


def evaluate(
    run: Run, spec: AttackSpec, device: torch.device, events: EventWriter, stop: StopSignal
) -> dict[str, Any]:
    """Carry out an attack spec; a resumed one takes up what an earlier attempt has finished.

    Returns:
        The fields of an attack run's result: the table, sanity checks, precision.

    Raises:
        StopRequested: a stop was asked for.
        NotFoundError, UserError: a checkpoint is missing, damaged, or of other classes.
    """
    test, classes = _test_pictures(run, spec, events, stop)
    test = test.to(device)
    dtype = autocast_dtype(spec.precision, device)
    finished = {
        key: event["cell"]
        for key, event in read_snapshot(run).attacks.items()
        if event.get("cell") is not None
    }
    outcomes = _outcomes(run, test, classes)
    rows, observed, models = [], [], []
    for reference in spec.references:
        model = load_reference(reference, run, len(classes), _size(test))
        attacker = ModelUnderAttack(
            model.to(device), reference.label, test, spec, dtype, events, stop
        )
        correct = attacker.clean()
        outcomes.clean[reference.label] = _int16(attacker.logits.argmax(dim=1))
        cells: dict[str, Any] = {}
        for attack in spec.attacks:
            names = [spec.level_name(level) for level in spec.levels(attack)]
            known = all((reference.label, name) in outcomes.attacked for name in names)
            done = finished.get((reference.label, attack.name)) if known else None
            if done is None:
                done = attacker.attack(attack)
                for name in names:
                    outcomes.attacked[reference.label, name] = _int16(attacker.attacked[name])
                outcomes.save(run.path / OUTCOMES)
            values = []
            for level in done["levels"]:
                observed.append(Observed(reference.label, attack.name, **level["observed"]))
                tally = Tally(**level["tally"])
                values.append(
                    attack_cell(
                        eps=level["eps"],
                        n=len(test),
                        correct=tally.correct,
                        successes=tally.successes,
                        robust=tally.robust,
                        seconds=tally.seconds,
                    )
                )
            cells[attack.name] = values if spec.epsilons else values[0]
        rows.append(
            row(
                model=reference.label,
                **_origin(reference),
                n=len(test),
                correct=correct,
                attacks=cells,
                evaluation=run.id,
            )
        )
        models.append(attacker)
    precision = "fp32" if dtype is None else "bf16"
    if spec.examples:
        keep_examples(run.path / "examples.npz", models, spec, classes)
    return {
        **table(threat_model(spec, len(test), precision), rows),
        "paired": compare_pairs(run.path.parent, rows),
        "sanity": sanity_panel(run, spec, models, observed, rows, events, stop),
        "precision": precision,
    }


def load_reference(
    reference: CheckpointRef | ModelRef, run: Run, classes: int, size: tuple[int, int]
) -> PictureClassifier:
    """The network that a reference names, in eval mode on the CPU.

    Args:
        reference: a checkpoint of the run's home, or a user's own network.
        run: the attack run.
        classes: how many the data set has.
        size: height and width of its pictures, in pixels.

    Raises:
        NotFoundError, UserError: it is missing, damaged, or does not fit.
    """
    if isinstance(reference, ModelRef):
        return load_own(reference, classes=classes, size=size)
    return load_model(run.home / reference.file, classes=classes)[0]


def _size(pictures: Pictures) -> tuple[int, int]:
    _, _, height, width = pictures.images.shape
    return height, width


def _origin(reference: CheckpointRef | ModelRef) -> dict[str, Any]:
    if isinstance(reference, ModelRef):
        return {"run": None, "checkpoint": None, "source": source(reference)}
    return {"run": reference.run, "checkpoint": reference.checkpoint}


def _test_pictures(
    run: Run, spec: AttackSpec, events: EventWriter, stop: StopSignal
) -> tuple[Pictures, tuple[str, ...]]:
    """The pictures that are attacked, on the CPU, and the names of the classes."""
    if spec.data in DATASETS:
        splits = load(spec.data, run.home, spec.data_dir)
        test = splits.test if spec.limit is None else balanced(splits.test, spec.limit)
        return test, splits.classes
    told = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal told
        stop.check()
        if time.monotonic() - told >= REPORT_EVERY_S or done == total:
            told = time.monotonic()
            events.write(
                "progress", task="reading", done=done, total=total, unit="images", rate=None
            )

    return read_folder(Path(spec.data), resize=spec.resize, limit=spec.limit, progress=report)


_CURVE = (
    "; here at each ε shown, the step the same share of it, from the points found at the ε below"
)


def _outcomes(run: Run, test: Pictures, classes: Sequence[str]) -> Outcomes:
    """What an earlier attempt has left, or what is still empty."""
    fresh = Outcomes(_int16(test.labels), test.indices.numpy(force=True), classes)
    try:
        kept = Outcomes.load(run.path / OUTCOMES)
    except NotFoundError:
        return fresh
    return kept if np.array_equal(kept.indices, fresh.indices) else fresh


def _int16(predictions: torch.Tensor) -> "np.ndarray[Any, np.dtype[np.int16]]":
    return predictions.to(torch.int16).numpy(force=True)


def threat_model(spec: AttackSpec, n: int, precision: str) -> dict[str, Any]:
    """What stands under the table."""
    return {
        "data": dataset_of(spec.data).title,
        "split": "test" if spec.data in DATASETS else None,
        **({"resize": spec.resize} if spec.resize else {}),
        "n": n,
        "seed": spec.seed,
        "precision": precision,
        **({"epsilons": list(spec.epsilons)} if spec.epsilons else {}),
        "attacks": [
            {
                "name": attack.name,
                "text": attack.describe() + (_CURVE if spec.epsilons else ""),
                "method": attack.method,
                "targets": attack.targets,
                "target_classes": attack.target_classes,
                **attack.pgd.model_dump(mode="json"),
            }
            for attack in spec.attacks
        ],
    }
