"""One model under evaluation: its clean answers, and what each attack makes of them.

The attack looks at the network with BatchNorm folded away; what it returns is looked at once more
by the network as it was trained, in fp32, and the counts come from that look.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from engine.attacks.active_set import Step
from engine.attacks.autoattack import AutoAttack
from engine.attacks.batch_attack import attack_batch
from engine.attacks.losses import fools
from engine.data.pictures import Pictures, to_float
from engine.evaluation.attack_progress import AttackAtEps, AttackReport
from engine.evaluation.batch_size import room_for
from engine.evaluation.counts import Tally
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import PictureClassifier
from engine.process.run_context import RunContext
from runs.attacks import AUTOATTACK_STAGES
from runs.event_types import AttackOutcome
from runs.spec import AttackSpec
from runs.threat_model import Attack


class ModelUnderAttack:
    """One model under evaluation."""

    def __init__(
        self,
        model: PictureClassifier,
        label: str,
        test: Pictures,
        spec: AttackSpec,
        dtype: torch.dtype | None,
        context: RunContext,
    ) -> None:
        self.model, self.label, self.test, self.spec = model, label, test, spec
        self.copy = Folded(model).network
        """What is attacked: the same function without BatchNorm, frozen."""
        self.logits = torch.empty(0)
        self.attacked: dict[str, Tensor] = {}
        """By attack, int64 (N,): the predictions on the adversarial images, of an image that is
        wrong when clean that on the clean one."""
        self._dtype = dtype
        self._events, self._stop = context.events, context.stop
        self._right = torch.empty(0)
        self._batch_size = spec.batch_size

    def clean(self) -> int:
        """Classify the clean images; returns how many are correct."""
        self._make_room()
        parts = []
        for cut in self.batches(torch.arange(len(self.test))):
            parts.append(self.logits_of(to_float(self.test.images[cut])))
            self._stop.check()
        self.logits = torch.cat(parts)
        self._right = (self.logits.argmax(dim=1) == self.test.labels).nonzero().flatten()
        return len(self._right)

    def _make_room(self) -> None:
        """Smaller batches where a GPU's memory is short: outcomes don't depend on their size."""
        if self.test.images.device.type != "cuda":
            return
        with self.autocast():
            largest = to_float(self.test.images[: self.spec.batch_size])
            self._batch_size, obstacle = room_for(self.copy, largest)
        if obstacle:
            self._events.write("log", level="warning", message=f"{self.label}: {obstacle}")

    def attack(self, attack: Attack) -> AttackOutcome:
        """Attack all images that are correct when clean, at each ε of the spec, from below.

        An image that is fooled at one ε is so at all larger ones; the others begin there from the
        points found below: no figure is weaker than the one before it.

        Returns:
            ``levels``: ε, tally and observations, at each ε.
        """
        levels = [
            AttackAtEps(
                level, self.spec.level_name(level), len(self._right), self.label, self._events
            )
            for level in self.spec.levels(attack)
        ]
        report = levels[0].report
        if len(levels) > 1:
            report = AttackReport(self._events, self.label, attack.name, levels[-1].tally)
        for level in levels:
            self.attacked[level.name] = self.logits.argmax(dim=1)
        before = [module.training for module in self.copy.modules()]
        if attack.method == "autoattack":
            self._stage_by_stage(levels)
        else:
            self._batch_by_batch(levels)
        as_found = before == [module.training for module in self.copy.modules()]
        if len(levels) > 1:
            for level in levels:
                level.report.finish(None)
        outcome: AttackOutcome = {"levels": [level.outcome(as_found=as_found) for level in levels]}
        report.finish(outcome)
        return outcome

    def _batch_by_batch(self, levels: list[AttackAtEps]) -> None:
        for cut in self.batches(self._right):
            images, labels = to_float(self.test.images[cut]), self.test.labels[cut]
            points, predicted = images, labels.clone()
            left = torch.ones_like(labels, dtype=torch.bool)
            for n, level in enumerate(levels):
                begins = time.monotonic()

                def on_step(
                    step: Step, level: AttackAtEps = level, batch: int = len(labels)
                ) -> None:
                    self._stop.check()
                    level.report.step(level.done, batch, len(step.images))

                found, targets = points[left], None
                if len(found) and level.attack.pgd.eps > 0:
                    start = found if n else None
                    found, targets = self.craft(cut[left], level.attack, on_step, start=start)
                now = self.logits_of(found).argmax(dim=1)
                level.extremes.include(images[left], found)
                # What is wrong below is wrong here: a point of the smaller ball lies in this one.
                wrong = predicted[left] != labels[left]
                now = torch.where(wrong & (now == labels[left]), predicted[left], now)
                reached = now != labels[left] if targets is None else now == targets
                points = points.clone()
                points[left], predicted[left] = found, now
                left = left.masked_scatter(left, ~reached)
                self.attacked[level.name][cut] = predicted
                level.count(
                    images=len(labels),
                    successes=int((~left).sum()),
                    robust=int((predicted == labels).sum()),
                    seconds=time.monotonic() - begins,
                )

    def _stage_by_stage(self, levels: list[AttackAtEps]) -> None:
        """AutoAttack: each stage on the images that have withstood those before it.

        On the model itself, and in float32, as its authors evaluate.
        """
        left = self._right
        predicted = self.logits.argmax(dim=1)
        for level in levels:
            begins = time.monotonic()
            authors = self._authors(level.attack) if level.attack.pgd.eps > 0 else None
            for stage in AUTOATTACK_STAGES if authors else ():
                tally = Tally(correct=len(left))
                report = AttackReport(self._events, self.label, f"{level.name} {stage}", tally)
                stay, done = [], 0
                for cut in self.batches(left):
                    images, labels = to_float(self.test.images[cut]), self.test.labels[cut]

                    def on_query(
                        report: AttackReport = report, done: int = done, batch: int = len(labels)
                    ) -> None:
                        self._stop.check()
                        report.step(done, batch, batch)

                    assert authors is not None
                    adversarial = authors.attack(stage, images, labels, on_query)
                    with torch.no_grad():
                        predicted[cut] = self.model(adversarial).argmax(dim=1)
                    robust = predicted[cut] == labels
                    level.extremes.include(images, adversarial)
                    stay.append(cut[robust])
                    tally.successes += int((~robust).sum())
                    done += len(labels)
                    report.step(done, 0, 0)
                left = torch.cat(stay) if stay else left
                report.finish(None)
            self.attacked[level.name] = predicted.clone()
            level.count(
                images=len(self._right),
                successes=len(self._right) - len(left),
                robust=len(left),
                seconds=time.monotonic() - begins,
            )

    def _authors(self, attack: Attack) -> AutoAttack:
        pgd, device = attack.pgd, self.test.images.device
        return AutoAttack(self.model, pgd.norm, pgd.eps, self.spec.seed, device)

    def example(self, attack: Attack, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Adversarial images for the places ``chosen``, the model's logits there, targets."""
        adversarial, targets = self.craft(chosen, attack)
        return adversarial, self.logits_of(adversarial), targets

    def craft(
        self,
        places: Tensor,
        attack: Attack,
        on_step: Callable[[Step], object] | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Adversarial images for ``places``, int64 (M,), and their targets.

        In bf16 an image leaves the attack at the first point that fools, often one so close to
        the border that rounding decides (measured: 0.9 points of robust accuracy). What fp32
        does not confirm is attacked again in fp32.
        """
        if attack.method == "autoattack":
            return self._by_authors(places, attack), None
        with self.autocast():
            found, targets = self._crafted(places, attack, on_step, start)
            if self._dtype is None:
                return found, targets
            with torch.no_grad():
                hoped = fools(self.copy(found), self.test.labels[places], targets)
        confirmed = fools(self.logits_of(found), self.test.labels[places], targets)
        doubtful = (hoped & ~confirmed).nonzero().flatten()
        if len(doubtful):
            begin = None if start is None else start[doubtful]
            exact, _ = self._crafted(places[doubtful], attack, lambda _: self._stop.check(), begin)
            found = found.index_copy(0, doubtful, exact)
        return found, targets

    def _crafted(
        self,
        places: Tensor,
        attack: Attack,
        on_step: Callable[[Step], object] | None,
        start: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        return attack_batch(
            self.copy,
            to_float(self.test.images[places]),
            self.test.labels[places],
            self.test.indices[places].tolist(),
            attack,
            logits=self.logits[places],
            seed=self.spec.seed,
            start=start,
            on_step=on_step,
        )

    def _by_authors(self, places: Tensor, attack: Attack) -> Tensor:
        authors = self._authors(attack)
        points, labels = to_float(self.test.images[places]), self.test.labels[places]
        robust = self.logits_of(points).argmax(dim=1) == labels
        for stage in AUTOATTACK_STAGES:
            if robust.any():
                found = authors.attack(stage, points[robust], labels[robust])
                points[robust] = found
                robust = self.logits_of(points).argmax(dim=1) == labels
        return points

    def square(self, places: Tensor, attack: Attack, on_query: Callable[[], object]) -> int:
        """How many images Square alone fools, at the norm and ε of ``attack``.

        Raises:
            UserError: AutoAttack is not installed.
        """
        authors = self._authors(attack)
        images, labels = to_float(self.test.images[places]), self.test.labels[places]
        adversarial = authors.attack("square", images, labels, on_query)
        return int((self.logits_of(adversarial).argmax(dim=1) != labels).sum())

    def modules_in_train_mode(self) -> int:
        """Of the model that counts and of the copy that is attacked."""
        both = (*self.model.modules(), *self.copy.modules())
        return sum(module.training for module in both)

    @torch.no_grad()
    def logits_of(self, images: Tensor) -> Tensor:
        """Logits float32 (M, classes) of the model that counts, in fp32 whatever attacks it."""
        logits: Tensor = self.model(images)
        return logits

    @torch.no_grad()
    def copy_logits(self, images: Tensor) -> Tensor:
        """Logits float32 (M, classes) of the copy that is attacked."""
        logits: Tensor = self.copy(images)
        return logits

    def autocast(self) -> AbstractContextManager[object]:
        """In the precision of this evaluation's attacks."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.test.images.device.type, dtype=self._dtype)

    def batches(self, places: Tensor) -> Iterator[Tensor]:
        """The places in parts of a batch's size, on the device."""
        places = places.to(self.test.images.device)
        return iter(torch.split(places, self._batch_size) if len(places) else ())
