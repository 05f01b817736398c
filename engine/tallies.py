"""What an attack on a model comes to: counts, extremes, and the events that tell of them."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from runs.events import EventWriter
from runs.spec import Attack

REPORT_EVERY_S = 0.5


@dataclass
class Tally:
    """Counts of one attack on one model."""

    correct: int = 0
    successes: int = 0
    robust: int = 0
    seconds: float = 0.0


class Level:
    """One attack at one ε: its counts, extremes and bar."""

    def __init__(
        self, attack: Attack, name: str, correct: int, model: str, events: EventWriter
    ) -> None:
        self.attack, self.name, self.tally = attack, name, Tally(correct=correct)
        self.seen = Seen(attack.pgd.norm)
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


class Seen:
    """Extremes of what an attack returns."""

    def __init__(self, norm: str) -> None:
        self._order = torch.inf if norm == "linf" else 2
        self.extremes = {"largest": 0.0, "lowest": 1.0, "highest": 0.0}

    def see(self, images: Tensor, adversarial: Tensor) -> None:
        """Take in a batch, (M, 3, H, W) both."""
        if len(images) == 0:
            return
        delta = (adversarial - images).flatten(1)
        lengths = torch.linalg.vector_norm(delta, ord=self._order, dim=1).nan_to_num(torch.inf)
        pixels = adversarial.nan_to_num(nan=torch.inf)  # no number is no pixel
        now = self.extremes
        now["largest"] = max(now["largest"], float(lengths.max()))
        now["lowest"] = min(now["lowest"], float(pixels.min()))
        now["highest"] = max(now["highest"], float(pixels.max()))


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
