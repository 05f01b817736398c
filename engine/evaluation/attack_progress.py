"""``attack`` events: how far an attack on a model has come."""

import time
from dataclasses import asdict
from typing import Any

from engine.evaluation.counts import Extremes, Tally
from runs.events import EventWriter
from runs.threat_model import Attack

REPORT_EVERY_S = 0.5


class AttackReport:
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

    def finish(self, cell: dict[str, Any] | None) -> None:
        """All images are through; ``cell``: what the attack came to, at all its ε."""
        more = {} if cell is None else {"cell": cell}
        self._write(self._tally.correct, self._tally.successes, **more)

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


class AttackAtEps:
    """One attack at one ε: its counts, extremes and bar."""

    def __init__(
        self, attack: Attack, name: str, correct: int, model: str, events: EventWriter
    ) -> None:
        self.attack, self.name, self.tally = attack, name, Tally(correct=correct)
        self.seen = Extremes(attack.pgd.norm)
        self.report = AttackReport(events, model, name, self.tally)
        self.done = 0

    def count(self, *, images: int, successes: int, robust: int, seconds: float) -> None:
        """A batch is through."""
        self.done += images
        self.tally.successes += successes
        self.tally.robust += robust
        self.tally.seconds += seconds
        self.report.step(self.done, 0, 0)

    def told(self, as_found: bool) -> dict[str, Any]:
        """ε, tally and observations, as JSON; ``as_found``: the model's mode was left alone."""
        eps = self.attack.pgd.eps
        observed = {"eps": eps, "as_found": as_found, **self.seen.extremes}
        return {"eps": eps, "tally": asdict(self.tally), "observed": observed}
