"""Attack checkpoints on the test split, and count.

For each checkpoint: the clean accuracy, then each attack on the images that are classified
correctly when clean (the others can be neither a success nor robust). What an attack returns is
looked at once more by the model; the counts come from that look, not from the attack's own.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.attacks import attack_batch
from engine.checkpoints import load_model
from engine.data import DataSplits, Pictures, balanced, load, to_float
from engine.devices import autocast_dtype
from engine.folding import Folded
from engine.pgd import Step
from engine.resnet import PictureClassifier
from engine.sanity import Observed, attack_checks
from engine.stopping import StopSignal
from runs.datasets import DATASETS
from runs.events import EventWriter
from runs.results import attack_cell, row, table
from runs.snapshot import read_snapshot
from runs.spec import Attack, AttackSpec, CheckpointRef
from runs.store import Run

REPORT_EVERY_S = 0.5


@dataclass
class Tally:
    """Counts of one attack on one model."""

    correct: int = 0
    successes: int = 0
    robust: int = 0
    seconds: float = 0.0


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
    splits = load(spec.data, run.home, spec.data_dir)
    test = splits.test if spec.limit is None else balanced(splits.test, spec.limit)
    test = test.to(device)
    dtype = autocast_dtype(spec.precision, device)
    finished = {
        key: event["cell"]
        for key, event in read_snapshot(run).attacks.items()
        if event.get("cell") is not None
    }
    rows, observed, models = [], [], []
    for reference in spec.checkpoints:
        model = load_reference(run, reference, splits).to(device)
        attacker = _Attacker(model, reference.label, test, spec, dtype, events, stop)
        correct = attacker.clean()
        cells: dict[str, Any] = {}
        for attack in spec.attacks:
            done = finished.get((reference.label, attack.name))
            if done is None:
                done = attacker.attack(attack)
            observed.append(Observed(reference.label, attack.name, **done["observed"]))
            tally = Tally(**done["tally"])
            cells[attack.name] = attack_cell(
                eps=attack.pgd.eps,
                n=len(test),
                correct=tally.correct,
                successes=tally.successes,
                robust=tally.robust,
                seconds=tally.seconds,
            )
        rows.append(
            row(
                model=reference.label,
                run=reference.run,
                checkpoint=reference.checkpoint,
                n=len(test),
                correct=correct,
                attacks=cells,
            )
        )
        models.append(attacker)
    precision = "fp32" if dtype is None else "bf16"
    if spec.examples:
        _keep_examples(run.path / "examples.npz", models, spec, splits)
    return {
        **table(threat_model(spec, len(test), precision), rows),
        "sanity": attack_checks(observed, rows),
        "precision": precision,
    }


def load_reference(run: Run, reference: CheckpointRef, splits: DataSplits) -> PictureClassifier:
    """The network that a reference names."""
    model, _ = load_model(run.home / reference.file, classes=len(splits.classes))
    return model


def threat_model(spec: AttackSpec, n: int, precision: str) -> dict[str, Any]:
    """What stands under the table."""
    return {
        "data": DATASETS[spec.data].title,
        "split": "test",
        "n": n,
        "seed": spec.seed,
        "precision": precision,
        "attacks": [
            {
                "name": attack.name,
                "text": attack.pgd.describe(),
                "targets": attack.targets,
                **attack.pgd.model_dump(mode="json"),
            }
            for attack in spec.attacks
        ],
    }


class _Attacker:
    """One model under evaluation."""

    def __init__(
        self,
        model: PictureClassifier,
        label: str,
        test: Pictures,
        spec: AttackSpec,
        dtype: torch.dtype | None,
        events: EventWriter,
        stop: StopSignal,
    ) -> None:
        self.model, self.label, self.test, self.spec = model, label, test, spec
        self._attacked = Folded(model).network
        self.logits = torch.empty(0)
        self._dtype, self._events, self._stop = dtype, events, stop
        self._right = torch.empty(0)

    def clean(self) -> int:
        """Classify the clean images; returns how many are correct."""
        parts = []
        for cut in self._batches(torch.arange(len(self.test))):
            parts.append(self._look(to_float(self.test.images[cut])))
            self._stop.check()
        self.logits = torch.cat(parts)
        self._right = (self.logits.argmax(dim=1) == self.test.labels).nonzero().flatten()
        return len(self._right)

    def attack(self, attack: Attack) -> dict[str, Any]:
        """Attack all images that are correct when clean; returns tally and observations."""
        tally = Tally(correct=len(self._right))
        extremes = {"largest": 0.0, "lowest": 1.0, "highest": 0.0}
        as_found = True
        began = time.monotonic()
        report = _AttackReport(self._events, self.label, attack.name, tally)
        done = 0
        for cut in self._batches(self._right):
            images, labels = to_float(self.test.images[cut]), self.test.labels[cut]

            def on_step(step: Step, done: int = done, batch: int = len(labels)) -> None:
                self._stop.check()
                report.step(done, batch, len(step.images))

            before = [module.training for module in self._attacked.modules()]
            with self._autocast():
                adversarial, targets = attack_batch(
                    self._attacked,
                    images,
                    labels,
                    self.test.indices[cut].tolist(),
                    attack,
                    logits=self.logits[cut],
                    seed=self.spec.seed,
                    on_step=on_step,
                )
            predicted = self._look(adversarial).argmax(dim=1)
            robust = predicted == labels
            succeeded = ~robust if targets is None else predicted == targets
            tally.successes += int(succeeded.sum())
            tally.robust += int(robust.sum())
            delta = (adversarial - images).flatten(1)
            order = torch.inf if attack.pgd.norm == "linf" else 2
            lengths = torch.linalg.vector_norm(delta, ord=order, dim=1).nan_to_num(torch.inf)
            pixels = adversarial.nan_to_num(nan=torch.inf)  # no number is no pixel
            extremes["largest"] = max(extremes["largest"], float(lengths.max()))
            extremes["lowest"] = min(extremes["lowest"], float(pixels.min()))
            extremes["highest"] = max(extremes["highest"], float(pixels.max()))
            as_found &= before == [m.training for m in self._attacked.modules()]
            done += len(labels)
            report.step(done, 0, 0)
        tally.seconds = time.monotonic() - began
        cell = {
            "tally": asdict(tally),
            "observed": {"eps": attack.pgd.eps, "as_found": as_found, **extremes},
        }
        report.finish(cell)
        return cell

    def example(self, attack: Attack, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Adversarial images for the places ``chosen``, the model's logits there, targets."""
        images, labels = to_float(self.test.images[chosen]), self.test.labels[chosen]
        with self._autocast():
            adversarial, targets = attack_batch(
                self._attacked,
                images,
                labels,
                self.test.indices[chosen].tolist(),
                attack,
                logits=self.logits[chosen],
                seed=self.spec.seed,
            )
        return adversarial, self._look(adversarial), targets

    def _look(self, images: Tensor) -> Tensor:
        with torch.no_grad(), self._autocast():
            logits: Tensor = self.model(images)
        return logits.float()

    def _autocast(self) -> AbstractContextManager[object]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.test.images.device.type, dtype=self._dtype)

    def _batches(self, places: Tensor) -> Iterator[Tensor]:
        places = places.to(self.test.images.device)
        return iter(torch.split(places, self.spec.batch_size) if len(places) else ())


class _AttackReport:
    """``attack`` events at most twice a second, and one at the end."""

    def __init__(self, events: EventWriter, model: str, attack: str, tally: Tally) -> None:
        self._events, self._model, self._attack, self._tally = events, model, attack, tally
        self._began = time.monotonic()
        self._at = 0.0

    def step(self, done: int, batch: int, still: int) -> None:
        """``done`` images of whole batches, ``still`` of the current ``batch`` under attack."""
        now = time.monotonic()
        if now - self._at >= REPORT_EVERY_S:
            self._at = now
            left = batch - still  # out of the active set: fooled
            self._write(done + left, self._tally.successes + left)

    def finish(self, cell: dict[str, Any]) -> None:
        self._write(self._tally.correct, self._tally.successes, cell=cell)

    def _write(self, done: int, successes: int, **more: Any) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        self._events.write(
            "attack",
            model=self._model,
            attack=self._attack,
            done=done,
            total=self._tally.correct,
            successes=successes,
            rate=done / seconds,
            **more,
        )


def _keep_examples(
    path: Path, attackers: list[_Attacker], spec: AttackSpec, splits: DataSplits
) -> None:
    """Some test images, the same for every model and attack, with what each came to.

    Arrays (M models, A attacks, K images): ``images`` uint8 (K, 3, 32, 32); ``labels``,
    ``indices`` (K,); ``adversarial`` float32 (M, A, K, 3, 32, 32); ``clean_predictions``,
    ``clean_confidences`` (M, K); ``predictions``, ``confidences`` (M, A, K); ``targets``
    (M, A, K), −1 where untargeted; ``models``, ``attacks``, ``classes`` names.
    """
    test = attackers[0].test
    everywhere = torch.stack([a.logits.argmax(dim=1) == test.labels for a in attackers]).all(0)
    places = everywhere.nonzero().flatten()
    if len(places) < spec.examples:
        places = torch.arange(len(test), device=test.labels.device)
    chosen = places[: spec.examples]
    shape = (len(attackers), len(spec.attacks), len(chosen))
    adversarial = np.zeros((*shape, *test.images.shape[1:]), dtype=np.float32)
    predictions, targets = np.zeros(shape, np.int64), np.full(shape, -1)
    confidences = np.zeros(shape, np.float32)
    clean = [attacker.logits[chosen].softmax(dim=1).max(dim=1) for attacker in attackers]
    for m, attacker in enumerate(attackers):
        for a, attack in enumerate(spec.attacks):
            images, logits, aims = attacker.example(attack, chosen)
            best = logits.softmax(dim=1).max(dim=1)
            adversarial[m, a] = images.numpy(force=True)
            predictions[m, a] = best.indices.numpy(force=True)
            confidences[m, a] = best.values.numpy(force=True)
            if aims is not None:
                targets[m, a] = aims.numpy(force=True)
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            images=test.images[chosen].numpy(force=True),
            labels=test.labels[chosen].numpy(force=True),
            indices=test.indices[chosen].numpy(force=True),
            adversarial=adversarial,
            clean_predictions=np.stack([c.indices.numpy(force=True) for c in clean]),
            clean_confidences=np.stack([c.values.numpy(force=True) for c in clean]),
            predictions=predictions,
            confidences=confidences,
            targets=targets,
            models=np.array([attacker.label for attacker in attackers]),
            attacks=np.array([attack.name for attack in spec.attacks]),
            classes=np.array(splits.classes),
        )
