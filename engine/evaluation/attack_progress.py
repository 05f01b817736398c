"""The progress of an attack on a model: its ``attack`` events, and its counts at each ε.

Knows nothing about networks and attack routines.
"""

import time
from collections.abc import Mapping

from engine.evaluation.counts import Extremes, Tally
from runs.event_types import AttackFields, AttackOutcome, LevelOutcome
from runs.events import EventWriter
from runs.threat_model import Attack

REPORT_EVERY_S = 0.5
"""Shortest time between two events of the same progress, in seconds."""


class AttackReport:
    """Writes ``attack`` events: at most two per second, and one at the end.

    Args:
        events: where the events go.
        model: label of the model.
        attack: name of the attack, followed by ε or a stage where there are several.
        tally: counts that the owner of this report updates after each batch.
    """

    def __init__(self, events: EventWriter, model: str, attack: str, tally: Tally) -> None:
        self._events, self._model, self._attack, self._tally = events, model, attack, tally
        self._began = time.monotonic()
        self._written_at = 0.0

    def step(self, done: int, batch: int, still_attacked: int, share: float = 0.0) -> None:
        """Report a step of the attack on a batch.

        Args:
            done: images in the batches before this batch.
            batch: images in this batch.
            still_attacked: images of this batch that are still in the active set.
            share: of the work on this batch that is done, in [0, 1].
        """
        now = time.monotonic()
        if now - self._written_at >= REPORT_EVERY_S:
            self._written_at = now
            fooled = batch - still_attacked
            # By the batches and steps that are done. By the images that have left the active set,
            # the last batch would seem endless: what withstands the attack leaves at its end.
            work = (done + share * batch) / max(self._tally.correct, 1)
            seconds = now - self._began
            left = seconds * (1 - work) / work if work > 0 else None
            self._write(done + fooled, self._tally.successes + fooled, left)

    def go_on(self, seconds: float) -> None:
        """Count so many seconds of an earlier attempt to the time of this one."""
        self._began -= seconds

    def finish(self, outcome: AttackOutcome | None) -> None:
        """Report the end. ``outcome``: of the attack at all its ε; None for a part of it."""
        self._write(self._tally.correct, self._tally.successes, 0.0, outcome)

    def _write(
        self, done: int, successes: int, left_s: float | None, outcome: AttackOutcome | None = None
    ) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        fields: AttackFields = {
            "model": self._model,
            "attack": self._attack,
            "done": done,
            "total": self._tally.correct,
            "successes": successes,
            "rate": done / seconds,
            "eta_s": None if left_s is None else round(left_s, 1),
        }
        if outcome is not None:
            fields["cell"] = outcome
        self._events.write("attack", **fields)


class AttackAtEps:
    """One attack on one model at one ε: its counts, extremes and progress.

    Args:
        attack: the attack with this ε.
        name: its name, with ε where the attack is evaluated at several.
        correct: images that the model classifies correctly when clean.
        model: label of the model.
        events: where the progress goes.
    """

    def __init__(
        self, attack: Attack, name: str, correct: int, model: str, events: EventWriter
    ) -> None:
        self.attack, self.name, self.tally = attack, name, Tally(correct=correct)
        self.extremes = Extremes(attack.pgd.norm)
        self.report = AttackReport(events, model, name, self.tally)
        self.done = 0
        """Images in the batches that have been counted."""

    def step(self, restart: int, step: int, batch: int, still_attacked: int) -> None:
        """Report a step on a batch of so many images, of which some are still attacked."""
        pgd, share = self.attack.pgd, 0.0
        if self.attack.targets != "all":  # then the steps begin again with each class
            share = (restart + step / (pgd.steps + 1)) / pgd.restarts
        self.report.step(self.done, batch, still_attacked, share)

    def count(self, *, images: int, successes: int, robust: int, seconds: float) -> None:
        """Add the counts of a batch."""
        self.done += images
        self.tally.successes += successes
        self.tally.robust += robust
        self.tally.seconds += seconds
        self.report.step(self.done, 0, 0)

    def state(self) -> dict[str, float]:
        """Counts and extremes, for :meth:`restore`."""
        tally, extremes = self.tally, self.extremes
        return {
            "done": self.done,
            "successes": tally.successes,
            "robust": tally.robust,
            "seconds": tally.seconds,
            "largest": extremes.largest,
            "lowest": extremes.lowest,
            "highest": extremes.highest,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Take over counts and extremes of an earlier attempt."""
        self.done = int(state["done"])
        self.tally.successes, self.tally.robust = int(state["successes"]), int(state["robust"])
        self.tally.seconds = state["seconds"]
        self.extremes.largest = state["largest"]
        self.extremes.lowest, self.extremes.highest = state["lowest"], state["highest"]
        self.report.go_on(self.tally.seconds)

    def outcome(self, *, as_found: bool) -> LevelOutcome:
        """Counts and extremes. ``as_found``: the attack left the mode of each module unchanged."""
        tally, extremes = self.tally, self.extremes
        return {
            "eps": self.attack.pgd.eps,
            "tally": {
                "correct": tally.correct,
                "successes": tally.successes,
                "robust": tally.robust,
                "seconds": tally.seconds,
            },
            "observed": {
                "eps": self.attack.pgd.eps,
                "as_found": as_found,
                "largest": extremes.largest,
                "lowest": extremes.lowest,
                "highest": extremes.highest,
            },
        }
