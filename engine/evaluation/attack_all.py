"""An attack on all images that a model classifies correctly when clean, counted batch by batch.

After each batch it notes how far it has come, so that a resumed run goes on there. Knows nothing
about attack routines, data sets and tables.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from engine.attacks.active_set import Step
from engine.attacks.autoattack import AutoAttack
from engine.data.pictures import to_float
from engine.evaluation.attack_progress import AttackAtEps, AttackReport
from engine.evaluation.attack_state import Array, AttackState, Reached
from engine.evaluation.counts import Extremes, Tally
from engine.evaluation.model_under_attack import ModelUnderAttack
from runs.attacks import AUTOATTACK_STAGES
from runs.event_types import AttackOutcome
from runs.threat_model import Attack


class AllAttacked(NamedTuple):
    """What came of an attack."""

    outcome: AttackOutcome
    """``levels``: for each ε its counts and the extremes of the adversarial images."""
    predictions: dict[str, Tensor]
    """By attack at one ε: int64 (N,), predictions on the adversarial images; an image that is
    misclassified when clean is not attacked and keeps its prediction."""


def attack_all(model: ModelUnderAttack, attack: Attack) -> AllAttacked:
    """Attack all images that are classified correctly when clean, at each ε, smallest first.

    An image on which the attack succeeds at one ε counts as a success at all larger ε. Every other
    image starts at the next ε from its adversarial image at this ε. So success never falls as ε
    grows.

    Args:
        model: whose clean images are classified.
        attack: one of those of its spec.

    Raises:
        StopRequested: a stop was requested; a resumed run goes on at the batch that was at work.
        UserError: the attack is AutoAttack, and AutoAttack is not installed.
    """
    clean = model.logits.argmax(dim=1).numpy(force=True)
    folder = model.context.run.path if model.world.rank == 0 else None
    with AttackState(folder, model.label, attack.name, clean) as state:
        return _AttackOnAll(model, attack, state).carry_out()


class _AttackOnAll:
    def __init__(self, model: ModelUnderAttack, attack: Attack, state: AttackState) -> None:
        self._model, self._attack, self._state = model, attack, state
        self._events, self._stop = model.context.events, model.context.stop
        self._world = model.world
        spec = model.spec
        self._levels = [
            AttackAtEps(
                level, spec.level_name(level), len(model.correct), model.label, self._events
            )
            for level in spec.levels(attack)
        ]
        self._attacked = {level.name: model.logits.argmax(dim=1) for level in self._levels}

    def carry_out(self) -> AllAttacked:
        """Begin, or go on where an earlier attempt has come to."""
        model, levels = self._model, self._levels
        report = levels[0].report
        if len(levels) > 1:
            report = AttackReport(self._events, model.label, self._attack.name, levels[-1].tally)
        reached = self._world.agreed(self._state.load())
        if reached is not None:
            self._restore(reached)
            if len(levels) > 1:
                report.go_on(sum(level.tally.seconds for level in levels))
        modes = [module.training for module in model.copy.modules()]
        if self._attack.method == "autoattack":
            self._stage_by_stage(reached)
        else:
            self._batch_by_batch()
        as_found = modes == [module.training for module in model.copy.modules()]
        if len(levels) > 1:
            for level in levels:
                level.report.finish(None)
        outcome: AttackOutcome = {"levels": [level.outcome(as_found=as_found) for level in levels]}
        report.finish(outcome)
        return AllAttacked(outcome, self._attacked)

    def _keep(self, place: dict[str, object], **arrays: Array) -> None:
        """Note that a batch is done; ``place``: in the loops, where a count is not enough."""
        levels = [level.state() for level in self._levels]
        predictions = {
            f"attacked_{number}": self._attacked[level.name].numpy(force=True)
            for number, level in enumerate(self._levels)
        }
        self._state.keep({"levels": levels, **place}, {**predictions, **arrays})

    def _restore(self, reached: Reached) -> None:
        for number, level in enumerate(self._levels):
            level.restore(reached.numbers["levels"][number])
            self._attacked[level.name] = self._tensor(reached.arrays[f"attacked_{number}"])

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self._model.logits.device)

    def _batch_by_batch(self) -> None:
        """PGD and its family: one batch after another, each at every ε, smallest first."""
        model = self._model
        for round_, own in self._rounds(model.correct[self._levels[-1].done :]):
            found = self._world.gathered(None if own is None else self._attack_batch(own))
            for number, level in enumerate(self._levels):
                parts = [part[number] for part in found if part is not None]
                slowest = max(part.seconds for part in parts)
                for places, part in zip(round_, parts, strict=True):
                    self._attacked[level.name][places] = self._tensor(part.predicted)
                    level.extremes.merge(part.extremes)
                    level.count(
                        images=len(places),
                        successes=part.successes,
                        robust=part.robust,
                        seconds=slowest,
                    )
                    slowest = 0.0  # the batches of a round go on side by side
            self._keep({})

    def _rounds(self, places: Tensor) -> Iterator[tuple[list[Tensor], Tensor | None]]:
        """The batches of these places, as many at a time as there are ranks, and this rank's own.

        The batches are those of one process, and so is what comes of each.
        """
        batches, world = list(self._model.batches(places)), self._world
        for first in range(0, len(batches), world.size):
            round_ = batches[first : first + world.size]
            yield round_, round_[world.rank] if world.rank < len(round_) else None

    def _attack_batch(self, places: Tensor) -> list["_Found"]:
        """Attack the images at these places at every ε, smallest first."""
        model, found = self._model, []
        images, labels = to_float(model.test.images[places]), model.test.labels[places]
        # For each image its last point and the prediction there, and whether the attack has not
        # yet succeeded on it: only these remaining images are attacked.
        points, predicted = images, labels.clone()
        remaining = torch.ones_like(labels, dtype=torch.bool)
        for position, level in enumerate(self._levels):
            began = time.monotonic()

            def on_step(step: Step, level: AttackAtEps = level, batch: int = len(labels)) -> None:
                self._stop.check()
                level.step(step.restart, step.step, batch, len(step.images))

            adversarial, targets = points[remaining], None
            if len(adversarial) and level.attack.pgd.eps > 0:
                start = adversarial if position else None
                adversarial, targets = model.craft(
                    places[remaining], level.attack, on_step, start=start
                )
            latest = model.original_logits(adversarial).argmax(dim=1)
            extremes = Extremes(level.attack.pgd.norm)
            extremes.include(images[remaining], adversarial)
            # What is misclassified at a smaller ε is misclassified at this ε as well: the point
            # in the smaller ball also lies in this ball.
            was_wrong = predicted[remaining] != labels[remaining]
            latest = torch.where(
                was_wrong & (latest == labels[remaining]), predicted[remaining], latest
            )
            succeeded = latest != labels[remaining] if targets is None else latest == targets
            points = points.clone()
            points[remaining], predicted[remaining] = adversarial, latest
            remaining = remaining.masked_scatter(remaining, ~succeeded)
            found.append(
                _Found(
                    predicted=predicted.clone().numpy(force=True),
                    successes=int((~remaining).sum()),
                    robust=int((predicted == labels).sum()),
                    extremes=extremes,
                    seconds=time.monotonic() - began,
                )
            )
        return found

    def _stage_by_stage(self, reached: Reached | None) -> None:
        """AutoAttack: at each ε, each stage on the images that withstood all stages before it.

        It attacks the original, in fp32, as its authors evaluate.
        """
        model = self._model
        # Both carry over from one ε to the next: an image that is fooled at a smaller ε is not
        # attacked again, and keeps its prediction there.
        robust, predicted = model.correct, model.logits.argmax(dim=1)
        at, done, earlier_s = (0, 0), 0, 0.0
        withstanding = torch.zeros_like(predicted)
        if reached is not None:
            numbers, arrays = reached
            at, done, earlier_s = tuple(numbers["at"]), numbers["done"], numbers["seconds"]
            robust = self._tensor(arrays["robust"]).nonzero().flatten()
            predicted = self._tensor(arrays["predicted"])
            withstanding = self._tensor(arrays["withstanding"])
        for number, level in enumerate(self._levels):
            if number < at[0]:
                continue
            began = time.monotonic() - earlier_s
            earlier_s = 0.0
            if level.attack.pgd.eps > 0:
                autoattack = model.autoattack(level.attack)
                for stage_number, stage in enumerate(AUTOATTACK_STAGES):
                    if (number, stage_number) < at:
                        continue
                    work = _Stage(level, stage, (number, stage_number), began)
                    robust = self._carry_out_stage(
                        autoattack, work, robust, predicted, withstanding, done
                    )
                    withstanding, done = torch.zeros_like(predicted), 0
            self._attacked[level.name] = predicted.clone()
            level.count(
                images=len(model.correct),
                successes=len(model.correct) - len(robust),
                robust=len(robust),
                seconds=time.monotonic() - began,
            )

    def _carry_out_stage(
        self,
        autoattack: AutoAttack,
        work: "_Stage",
        robust: Tensor,
        predicted: Tensor,
        withstanding: Tensor,
        done: int,
    ) -> Tensor:
        """Run one stage on the places ``robust``, int64 (M,); return the places that withstand it.

        The predictions on the adversarial images replace those in ``predicted``, int64 (N,), and
        their extremes go to the level. ``withstanding``, int64 (N,), is 1 for those of the first
        ``done`` places that an earlier attempt found to withstand the stage.
        """
        model, level = self._model, work.level
        attacked = torch.zeros_like(predicted).index_fill(0, robust, 1).numpy(force=True)
        withstood = int(withstanding.sum())
        tally = Tally(correct=len(robust), successes=done - withstood)
        report = AttackReport(self._events, model.label, f"{level.name} {work.stage}", tally)
        for round_, own in self._rounds(robust[done:]):
            mine = None
            if own is not None:
                mine = self._stage_on_batch(autoattack, work, own, report, done)
            found = [part for part in self._world.gathered(mine) if part is not None]
            for places, part in zip(round_, found, strict=True):
                predicted[places] = self._tensor(part.predicted)
                is_robust = predicted[places] == model.test.labels[places]
                level.extremes.merge(part.extremes)
                withstanding[places[is_robust]] = 1
                tally.successes += part.successes
                done += len(places)
            report.step(done, 0, 0)
            self._keep(
                {"at": work.at, "done": done, "seconds": time.monotonic() - work.began},
                robust=attacked,
                predicted=predicted.numpy(force=True),
                withstanding=withstanding.numpy(force=True),
            )
        report.finish(None)
        return withstanding.nonzero().flatten()

    def _stage_on_batch(
        self,
        autoattack: AutoAttack,
        work: "_Stage",
        places: Tensor,
        report: AttackReport,
        done: int,
    ) -> "_Found":
        """Run one stage of AutoAttack on the images at these places."""
        model = self._model
        images, labels = to_float(model.test.images[places]), model.test.labels[places]

        def on_query() -> None:
            self._stop.check()
            report.step(done, len(labels), len(labels))

        began = time.monotonic()
        adversarial = autoattack.attack(work.stage, images, labels, on_query)
        predicted = model.original_logits(adversarial).argmax(dim=1)
        extremes = Extremes(work.level.attack.pgd.norm)
        extremes.include(images, adversarial)
        robust = int((predicted == labels).sum())
        return _Found(
            predicted=predicted.numpy(force=True),
            successes=len(labels) - robust,
            robust=robust,
            extremes=extremes,
            seconds=time.monotonic() - began,
        )


class _Found(NamedTuple):
    """What an attack at one ε has found on a batch of M images."""

    predicted: Array
    """int64 (M,), predictions on the adversarial images."""
    successes: int
    robust: int
    extremes: Extremes
    seconds: float


class _Stage(NamedTuple):
    """A stage of AutoAttack at one ε."""

    level: AttackAtEps
    stage: str
    at: tuple[int, int]
    """Its place: number of the ε, number of the stage."""
    began: float
    """When the level began, on the monotonic clock, without what lay between attempts."""
