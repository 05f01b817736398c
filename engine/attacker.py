"""One model under evaluation: its clean answers, and what each attack makes of them.

The attack looks at the network with BatchNorm folded away; what it returns is looked at once more
by the network as it was trained, and the counts come from that look.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from engine.attacks import attack_batch
from engine.data import Pictures, to_float
from engine.folding import Folded
from engine.loop import Step
from engine.resnet import PictureClassifier
from engine.stopping import StopSignal
from runs.events import EventWriter
from runs.spec import Attack, AttackSpec

REPORT_EVERY_S = 0.5


@dataclass
class Tally:
    """Counts of one attack on one model."""

    correct: int = 0
    successes: int = 0
    robust: int = 0
    seconds: float = 0.0


class Attacker:
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
            adversarial, targets = self._craft(cut, attack, on_step)
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
        adversarial, targets = self._craft(chosen, attack)
        return adversarial, self._look(adversarial), targets

    def _craft(
        self, places: Tensor, attack: Attack, on_step: Callable[[Step], object] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        with self._autocast():
            return attack_batch(
                self._attacked,
                to_float(self.test.images[places]),
                self.test.labels[places],
                self.test.indices[places].tolist(),
                attack,
                logits=self.logits[places],
                seed=self.spec.seed,
                on_step=on_step,
            )

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
