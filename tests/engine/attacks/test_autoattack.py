"""AutoAttack through us is AutoAttack by itself, image by image; with a bar for each stage."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from engine.evaluation.attack_all import attack_all
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from runs.attacks import AUTOATTACK_STAGES, named_attack
from runs.errors import UserError
from runs.events import EventReader, EventWriter
from runs.spec import AttackSpec, TrainSpec
from runs.store import Store
from runs.threat_model import PGD
from tiny_classifier import COUNT, model, pictures

EPS = {"linf": 0.5 / 255, "l2": 0.1, "l1": 0.6}


def attacker(home: Path, batch_size: int = 16) -> tuple[ModelUnderAttack, Path]:
    run = Store(home).create(TrainSpec())
    spec = AttackSpec(seed=5, batch_size=batch_size)
    events = EventWriter(run.events_path)
    one = ModelUnderAttack(
        model(), "Best clean", pictures(), spec, None, RunContext(run, events, StopSignal(run))
    )
    one.classify_clean()
    return one, run.events_path


def by_itself(norm: str, batch_size: int = 16) -> Tensor:
    """Which images withstand their own evaluation of all of them."""
    authors = pytest.importorskip(
        "pyautoattack", reason="not installed: pip install 'advtui[autoattack]'"
    )
    whole, net = pictures(), model()
    with torch.random.fork_rng(devices=[]):
        adversarial, _ = authors.AutoAttack(
            net,
            norm={"linf": "Linf", "l2": "L2", "l1": "L1"}[norm],
            eps=EPS[norm],
            seed=5,
            device="cpu",
        ).run_standard_evaluation(whole.images / 255, whole.labels, batch_size=batch_size)
    with torch.no_grad():
        predicted: Tensor = net(adversarial).argmax(dim=1)
    return predicted == whole.labels


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_it_withstands_the_same_images_as_by_itself(norm: str, home: Path) -> None:
    expected = by_itself(norm)
    one, events = attacker(home)
    cell = attack_all(one, named_attack("autoattack", PGD(norm=norm, eps=EPS[norm]))).outcome
    (level,) = cell["levels"]
    tally = level["tally"]
    assert tally["correct"] == COUNT - 4
    assert 0 < tally["robust"] < tally["correct"]
    assert tally["robust"] == int(expected.sum())
    assert tally["successes"] == tally["correct"] - tally["robust"]
    observed = level["observed"]
    assert observed["as_found"]
    assert observed["largest"] <= EPS[norm] + 1e-6
    assert 0 <= observed["lowest"] <= observed["highest"] <= 1

    told = [event for event in EventReader(events).new() if event["kind"] == "attack"]
    last = {event["attack"]: event for event in told}
    assert list(last) == [*(f"autoattack {stage}" for stage in AUTOATTACK_STAGES), "autoattack"]
    left: float = tally["correct"]
    for stage in AUTOATTACK_STAGES:
        event = last[f"autoattack {stage}"]
        assert event["done"] == event["total"] == left
        left -= event["successes"]
    assert left == tally["robust"]
    assert last["autoattack"]["successes"] == tally["successes"]


def test_its_examples_are_its_own(home: Path) -> None:
    pytest.importorskip("pyautoattack", reason="not installed: pip install 'advtui[autoattack]'")
    one, _ = attacker(home)
    chosen = one.correct[:6]
    attack = named_attack("autoattack", PGD(eps=2 / 255))
    adversarial, logits, targets = one.example(attack, chosen)
    assert targets is None
    assert (logits.argmax(dim=1) != pictures().labels[chosen]).all()
    clean = pictures().images[chosen] / 255
    assert 0 < float((adversarial - clean).abs().max()) <= 2 / 255 + 1e-6


def test_a_stop_is_heard_in_the_middle_of_a_stage(home: Path) -> None:
    pytest.importorskip("pyautoattack", reason="not installed: pip install 'advtui[autoattack]'")
    one, _ = attacker(home)

    class AtTheFifthPass:
        passes = 0

        def check(self) -> None:
            self.passes += 1
            if self.passes == 5:
                raise StopRequested

    one.context = replace(one.context, stop=cast(StopSignal, AtTheFifthPass()))
    with pytest.raises(StopRequested):
        attack_all(one, named_attack("autoattack", PGD(eps=2 / 255)))
    assert not one.original._forward_pre_hooks


def test_without_the_package_it_says_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    one, _ = attacker(home)
    with pytest.raises(UserError, match=r"pip install 'advtui\[autoattack\]'"):
        attack_all(one, named_attack("autoattack", PGD()))
