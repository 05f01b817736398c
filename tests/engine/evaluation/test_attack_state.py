"""An attack that was cut goes on at the next batch, and ends as one that was never cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engine.evaluation import attack_state
from engine.evaluation.attack_all import AllAttacked, attack_all
from engine.evaluation.attack_state import FILE, AttackState, forget
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from runs.attacks import named_attack
from runs.events import EventReader, EventWriter
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run, Store
from runs.threat_model import PGD, Attack
from tiny_classifier import COUNT, model, pictures

BUDGET = PGD(eps=2 / 255, step_size=1 / 255, steps=3)
BATCH = 16
SEVERAL = (0.5 / 255, 1 / 255, 2 / 255)


class StopAt:
    """Requests a stop at a check, counted from 1; 0: never."""

    def __init__(self, at: int) -> None:
        self.checks, self.at = 0, at

    def check(self) -> None:
        self.checks += 1
        if self.checks == self.at:
            raise StopRequested


def attempt(run: Run, attack: Attack, epsilons: Any, at: int) -> tuple[AllAttacked | None, int]:
    """What an attempt ends with, None where it was stopped, and how often it checked for a stop."""
    spec = AttackSpec(attacks=(attack,), epsilons=epsilons, seed=1, batch_size=BATCH)
    events = EventWriter(run.events_path)
    context = RunContext(run, events, StopSignal(run))
    one = ModelUnderAttack(model(), "M", pictures(), spec, None, context)
    one.classify_clean()
    stop = StopAt(at)
    one.context = replace(context, stop=cast(StopSignal, stop))
    try:
        return attack_all(one, attack), stop.checks
    except StopRequested:
        return None, stop.checks
    finally:
        events.close()


def figures(attacked: AllAttacked) -> Any:
    levels = [
        {**level, "tally": {**level["tally"], "seconds": 0}} for level in attacked.outcome["levels"]
    ]
    return levels, {name: found.tolist() for name, found in attacked.predictions.items()}


ATTACKS = ("pgd-untargeted", "pgd-targeted", "apgd-ce")


@pytest.mark.parametrize("epsilons", [(), SEVERAL], ids=["one ε", "three ε"])
@pytest.mark.parametrize("name", ATTACKS)
def test_wherever_it_is_stopped_it_ends_as_if_it_had_not_been(
    name: str, epsilons: tuple[float, ...], home: Path
) -> None:
    attack = named_attack(name, BUDGET)
    whole, checks = attempt(Store(home).create(TrainSpec()), attack, epsilons, 0)
    assert whole is not None
    assert whole.outcome["levels"][0]["tally"]["correct"] == COUNT - 4
    for at in (*range(1, checks, max(1, checks // 6)), checks):
        run = Store(home).create(TrainSpec())
        stopped, _ = attempt(run, attack, epsilons, at)
        assert stopped is None
        resumed, more = attempt(run, attack, epsilons, 0)
        assert resumed is not None
        assert figures(resumed) == figures(whole)
    assert more < checks / 2  # of the last: what was done is not done again


@pytest.mark.slow
def test_within_autoattack_too(home: Path) -> None:
    pytest.importorskip("pyautoattack", reason="not installed: pip install 'advtui[autoattack]'")
    attack, epsilons = named_attack("autoattack", PGD()), SEVERAL[:2]
    whole, checks = attempt(Store(home).create(TrainSpec()), attack, epsilons, 0)
    assert whole is not None
    run = Store(home).create(TrainSpec())
    for share in (0.2, 0.4):  # several stops of one run
        attempt(run, attack, epsilons, max(1, round(share * checks)))
    resumed, _ = attempt(run, attack, epsilons, 0)
    assert resumed is not None
    assert figures(resumed) == figures(whole)


def test_a_killed_attack_goes_on_where_it_was_saved(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attack_state, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(AttackState, "__exit__", lambda *_: None)
    attack, run = named_attack("pgd-untargeted", BUDGET), Store(home).create(TrainSpec())
    whole, checks = attempt(Store(home).create(TrainSpec()), attack, (), 0)
    assert attempt(run, attack, (), checks - 1)[0] is None
    resumed, more = attempt(run, attack, (), 0)
    assert resumed is not None
    assert whole is not None
    assert figures(resumed) == figures(whole)
    assert more < checks / 2


def test_progress_never_falls_and_the_rate_counts_the_time_of_both(home: Path) -> None:
    attack, run = named_attack("pgd-untargeted", BUDGET), Store(home).create(TrainSpec())
    _, checks = attempt(Store(home).create(TrainSpec()), attack, (), 0)
    attempt(run, attack, (), checks - 1)
    before = len(EventReader(run.events_path).new())
    attempt(run, attack, (), 0)
    events = [e for e in EventReader(run.events_path).new()[before:] if e["kind"] == "attack"]
    assert all(event["done"] > 0 for event in events)
    assert events[-1]["done"] == events[-1]["total"]


NUMBERS, ARRAYS = {"done": 3}, {"attacked_0": np.arange(5)}


def state(folder: Path, label: str = "M", attack: str = "a", clean: Any = range(5)) -> AttackState:
    return AttackState(folder, label, attack, np.array(list(clean)))


def test_it_holds_what_was_kept(tmp_path: Path) -> None:
    assert state(tmp_path).load() is None
    with state(tmp_path) as one:
        one.keep(NUMBERS, ARRAYS)
        assert not (tmp_path / FILE).exists()  # not yet due
    found = state(tmp_path).load()
    assert found is not None
    assert found.numbers == NUMBERS
    assert found.arrays["attacked_0"].tolist() == list(range(5))
    forget(tmp_path)
    assert state(tmp_path).load() is None
    forget(tmp_path)


@pytest.mark.parametrize(
    "other", [{"label": "N"}, {"attack": "b"}, {"clean": [0, 1, 2, 3, 3]}, {"clean": range(6)}]
)
def test_what_belongs_to_another_attack_is_not_used(other: Any, tmp_path: Path) -> None:
    with state(tmp_path) as one:
        one.keep(NUMBERS, ARRAYS)
    assert state(tmp_path, **other).load() is None


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "pickle"])
def test_a_damaged_file_means_a_new_beginning(damage: str, tmp_path: Path) -> None:
    with state(tmp_path) as one:
        one.keep(NUMBERS, ARRAYS)
    path = tmp_path / FILE
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[:90], "text": b"text"}.get(damage, b""))
    if damage == "pickle":
        np.savez(path, numbers=np.array([{"key": ["M", "a"]}], dtype=object))
    assert state(tmp_path).load() is None
