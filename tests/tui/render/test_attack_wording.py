"""How an attack at several ε is worded: with its ε, and over when it is over."""

from pathlib import Path
from typing import Any

import pytest

from runs.event_types import AttackEvent
from runs.snapshot import Snapshot
from runs.spec import AttackSpec, CheckpointRef
from runs.store import Run, Store
from tui.render.progress import bars, current_work, event_line


@pytest.fixture
def run(tmp_path: Path) -> Run:
    reference = CheckpointRef(run="R", checkpoint="last", label="Best robust")
    return Store(tmp_path).create(AttackSpec(checkpoints=(reference,), epsilons=(0.0, 16 / 255)))


def event(attack: str, done: int, cell: Any = None) -> AttackEvent:
    known: Any = {"v": 1, "t": 1.0, "kind": "attack", "rate": 10.0, "total": 40, "successes": 20}
    known |= {"model": "Best robust of the night", "attack": attack, "done": done}
    if cell is not None:
        known["cell"] = cell
    told: AttackEvent = known
    return told


def test_the_line_of_a_curve_names_the_eps_of_its_figure(run: Run) -> None:
    levels = [{"eps": eps, "tally": {}, "observed": {}} for eps in (0.0, 16 / 255)]
    line = event_line(run, event("pgd-untargeted", 40, {"levels": levels})) or ""
    assert "pgd-untargeted at ε 16/255 succeeded on 20 of 40 images" in line
    line = event_line(run, event("pgd-untargeted", 40, {"levels": levels[:1]})) or ""
    assert "pgd-untargeted succeeded on 20 of 40 images" in line


def test_a_part_that_is_over_is_not_at_work(run: Run) -> None:
    snapshot = Snapshot()
    snapshot.apply(event("pgd-untargeted ε 0", 10))
    snapshot.apply(event("pgd-untargeted ε 16/255", 40))
    work = current_work(run, snapshot)
    assert work is not None
    assert work.title.endswith(" ε 0")
    assert len(work.title) <= 40
    (going,) = bars(run, snapshot)
    assert going.title.endswith(" ε 0")
    assert "ETA" in going.text
