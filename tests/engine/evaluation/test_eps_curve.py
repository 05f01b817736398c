"""Several ε: each from the points found below, never weaker; as data and in the table."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.evaluation.attack_all import attack_all
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from runs.attacks import named_attack
from runs.errors import UserError
from runs.events import EventReader, EventWriter
from runs.overrides import override
from runs.spec import AttackSpec, TrainSpec
from runs.store import Store
from runs.threat_model import PGD
from tiny_classifier import COUNT, model, pictures
from tui.spec_from_flags import _epsilons

EPSILONS = (0.0, 0.5 / 255, 1 / 255, 2 / 255, 0.5)
PGD_5 = PGD(eps=2 / 255, step_size=1 / 255, steps=5)


def curve(home: Path, name: str, epsilons: tuple[float, ...] = EPSILONS) -> tuple[Any, Any, Any]:
    """The outcome, the predictions at each ε, and the events."""
    run = Store(home).create(TrainSpec())
    spec = AttackSpec(
        attacks=(named_attack(name, PGD_5),), epsilons=epsilons, seed=1, batch_size=16
    )
    events = EventWriter(run.events_path)
    attacker = ModelUnderAttack(
        model(), "M", pictures(), spec, None, RunContext(run, events, StopSignal(run))
    )
    attacker.classify_clean()
    began = time.monotonic()
    told, predictions = attack_all(attacker, spec.attacks[0])
    seconds = time.monotonic() - began
    events.close()
    told_on_the_way = [e for e in EventReader(run.events_path).new() if e["kind"] == "attack"]
    last = told_on_the_way[-1]
    assert last["rate"] <= 2 * last["total"] / seconds  # of all of it, not of its end
    return told, predictions, told_on_the_way


@pytest.mark.parametrize("name", ["pgd-untargeted", "pgd-targeted", "fgsm", "apgd-ce"])
def test_it_rises_from_nothing_at_0_to_nearly_all(home: Path, name: str) -> None:
    told, predictions, events = curve(home, name)
    levels = told["levels"]
    assert [level["eps"] for level in levels] == list(EPSILONS)
    successes = [level["tally"]["successes"] for level in levels]
    robust = [level["tally"]["robust"] for level in levels]
    correct = levels[0]["tally"]["correct"]
    assert (successes[0], robust[0], correct) == (0, COUNT - 4, COUNT - 4)
    assert successes == sorted(successes)
    assert robust == sorted(robust, reverse=True)
    assert robust[-1] < robust[1]
    for level in levels:
        assert level["observed"]["largest"] <= level["eps"] + 1e-6
    # An image that is wrong at one ε is wrong at all larger ones.
    wrong = [predicted != pictures().labels for predicted in predictions.values()]
    for below, above in itertools.pairwise(wrong):
        assert (below <= above).all()
    last = {event["attack"]: event for event in events}
    assert list(last)[-1] == name
    assert {f"{name} ε 1/255", f"{name} ε 0.5"} <= last.keys()
    assert all(event["done"] == event["total"] == correct for event in last.values())


def test_the_smallest_is_what_it_would_be_alone(home: Path) -> None:
    several, predictions, _ = curve(home, "pgd-untargeted", EPSILONS[1:])
    alone, only_predictions, _ = curve(home, "pgd-untargeted", EPSILONS[1:2])
    first, only = several["levels"][0], alone["levels"][0]
    assert {**first["tally"], "seconds": 0} == {**only["tally"], "seconds": 0}
    name = "pgd-untargeted ε 0.5/255"
    assert torch.equal(predictions[name], only_predictions[name])


def test_the_step_keeps_its_share_and_without_several_all_is_as_it_was() -> None:
    attack = named_attack("pgd-untargeted", PGD_5)
    spec = AttackSpec(attacks=(attack,), epsilons=(1 / 255, 4 / 255))
    assert [level.pgd.step_size for level in spec.levels(attack)] == pytest.approx(
        [0.5 / 255, 2 / 255]
    )
    plain = AttackSpec(attacks=(attack,))
    assert plain.levels(attack) == (attack,)
    assert plain.level_name(attack) == "pgd-untargeted"
    fgsm = named_attack("fgsm", PGD_5)
    assert all(level.is_fgsm for level in spec.levels(fgsm))


def test_several_on_the_command_line() -> None:
    assert _epsilons("8/255, 0,1/255") == [0.0, 1 / 255, 8 / 255]
    with pytest.raises(UserError, match="--eps: 'abc' is not a number"):
        _epsilons("0,abc")
    with pytest.raises(UserError, match=r"ε = 8 is outside \[0, 1\].*8/255 was probably meant"):
        override(AttackSpec(), {"epsilons": [0.0, 8.0]})
    with pytest.raises(UserError, match="must ascend"):
        override(AttackSpec(), {"epsilons": [0.1, 0.0]})
