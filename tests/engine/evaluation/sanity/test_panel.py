"""The sanity panel on real models: healthy ones pass, each broken one has its fault named."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.data.datasets import load
from engine.data.pictures import Pictures, to_float
from engine.evaluation.attack_all import attack_all
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.checks import model_checks
from engine.evaluation.sanity.panel import sanity_panel
from engine.evaluation.sanity.probes import Prober, base_attack
from engine.models.resnet import PictureClassifier
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from runs.attacks import named_attack
from runs.events import EventReader, EventWriter
from runs.passes import PROBED_IMAGES
from runs.spec import AttackSpec, CheckpointRef, TrainSpec
from runs.store import Store
from runs.threat_model import PGD, Attack

EPS = 16 / 255
ATTACK = Attack(name="pgd-untargeted", pgd=PGD(eps=EPS, step_size=EPS / 4, steps=20))


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 10)
    )


@cache
def digits() -> Pictures:
    return load("digits", Path("unused"), None).test


@cache
def trained() -> nn.Sequential:
    """Plainly trained on the digits, in a second."""
    train = load("digits", Path("unused"), None).train
    images = to_float(train.images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = network()
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(60):
            optimiser.zero_grad()
            F.cross_entropy(net(images), train.labels, label_smoothing=0.1).backward()
            optimiser.step()
    return net.eval()


class Around(nn.Module):
    """The trained network with something done to its input and its output."""

    def __init__(
        self,
        before: Callable[[Tensor], Tensor] = lambda images: images,
        after: Callable[[Tensor], Tensor] = lambda logits: logits,
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = trained(), before, after

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.inner(self.before(images)))


class NeverEval(Around):
    """Stays in train mode whatever it is told."""

    def train(self, mode: bool = True) -> "NeverEval":
        return super().train(mode or True)


class TrainOnly(nn.Module):
    """Answers otherwise while a gradient is asked for: what is attacked is not what counts."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = trained()
        self.copied = False

    def __deepcopy__(self, memo: object) -> "TrainOnly":
        other = TrainOnly()
        other.copied = True
        return other

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images)
        return logits.roll(1, dims=1) if self.copied else logits


def attacker(
    home: Path, net: nn.Module, spec: AttackSpec, label: str = "m", stop: StopSignal | None = None
) -> ModelUnderAttack:
    run = Store(home).create(TrainSpec())
    model = PictureClassifier(net, (0.0,) * 3, (1.0,) * 3).eval()
    events = EventWriter(run.events_path)
    found = ModelUnderAttack(
        model, label, digits(), spec, None, RunContext(run, events, stop or StopSignal(run))
    )
    found.classify_clean()
    return found


def checked(
    home: Path,
    *nets: nn.Module,
    attack: Attack = ATTACK,
    depth: str = "quick",
    ce_alone: bool = False,
) -> dict[str, Any]:
    spec = AttackSpec(data="digits", attacks=(attack,), batch_size=64)
    prober = Prober(base_attack(spec), depth, lambda: None)
    probes = [prober.probe(attacker(home, net, spec, f"m{n}")) for n, net in enumerate(nets)]
    checks = model_checks(probes, ce_alone=ce_alone, full=depth == "full")
    return {check["check"]: check for check in checks}


def faults(found: dict[str, Any]) -> set[str]:
    return {name for name, check in found.items() if check["verdict"] == "fail"}


EVAL, SAME = "model in eval mode", "same input, same logits"
LOGITS, GRADIENTS = "logits, not probabilities", "input gradients are there"
PATH, CLIMBS = "the attack sees the accuracy that is counted", "the attack climbs its loss"
CONVERGED, GREY = "5× the steps find no more", "ε = 0.5 leaves hardly any image"
ORDER, ZERO = "PGD ≥ FGSM ≥ random noise", "ε = 0 changes nothing"
MARGIN = "margin loss finds little beyond cross-entropy"
SQUARE = "Square finds nothing beyond white-box attacks"
TRANSFER = "transfer is no stronger than white-box"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_healthy_model_passes(home: Path, norm: str) -> None:
    eps = EPS if norm == "linf" else 1.0
    pgd = PGD(norm=norm, eps=eps, step_size=eps / 4, steps=20)
    found = checked(home, trained(), attack=Attack(name="pgd-untargeted", pgd=pgd))
    assert {check["verdict"] for check in found.values()} == {"pass", "skipped"}
    assert {n for n, c in found.items() if c["verdict"] == "skipped"} == {SQUARE, TRANSFER}


def test_softmax_outputs_are_no_logits(home: Path) -> None:
    found = checked(home, Around(after=lambda logits: logits.softmax(dim=1)))
    assert LOGITS in faults(found)
    assert found[LOGITS]["value"] == 100


def test_quantised_input_has_no_gradient(home: Path) -> None:
    found = checked(home, Around(before=lambda images: (images * 16).round() / 16))
    assert {GRADIENTS, CLIMBS, GREY} <= faults(found)
    assert found[GRADIENTS]["value"] == 100


def test_non_differentiable_preprocessing_has_no_gradient(home: Path) -> None:
    found = checked(home, Around(before=lambda images: torch.from_numpy(images.numpy(force=True))))
    assert {GRADIENTS, CLIMBS, GREY} <= faults(found)


def test_dropout_at_test_time_answers_at_random(home: Path) -> None:
    found = checked(home, Around(before=lambda images: F.dropout(images, 0.1, training=True)))
    assert SAME in faults(found)


def test_a_model_that_stays_in_train_mode_is_found(home: Path) -> None:
    found = checked(home, NeverEval())
    assert EVAL in faults(found)


def test_a_step_of_no_length_does_not_climb(home: Path) -> None:
    still = ATTACK.pgd.model_copy(update={"step_size": 0.0})
    found = checked(home, trained(), attack=Attack(name="pgd-untargeted", pgd=still))
    assert {CLIMBS, GREY, ORDER} <= faults(found)


def test_an_attack_of_too_few_steps_has_not_converged(home: Path) -> None:
    hasty = ATTACK.pgd.model_copy(update={"steps": 3, "step_size": EPS / 20})
    found = checked(home, trained(), attack=Attack(name="pgd-untargeted", pgd=hasty))
    assert CONVERGED in faults(found)
    assert found[CONVERGED]["value"] > 5


def test_a_copy_that_answers_otherwise_is_not_what_is_counted(home: Path) -> None:
    found = checked(home, TrainOnly())
    assert PATH in faults(found)


def test_saturated_logits_hide_from_cross_entropy_but_not_from_the_margin_loss(
    home: Path,
) -> None:
    found = checked(home, Around(after=lambda logits: 3000 * logits), ce_alone=True)
    assert found[GRADIENTS]["verdict"] == "fail"
    assert found[MARGIN]["verdict"] == "warn"
    assert found[MARGIN]["value"] > 4
    assert "--attack pgd-margin" in found[MARGIN]["advice"]


def test_masked_gradients_are_weaker_than_a_transfer_from_a_healthy_model(home: Path) -> None:
    masked = Around(before=lambda images: (images * 64).round() / 64)
    found = checked(home, trained(), masked)
    assert TRANSFER in faults(found)
    assert found[TRANSFER]["model"] == "m1"
    healthy = checked(home, trained(), trained())
    assert healthy[TRANSFER]["verdict"] == "pass"


@pytest.mark.slow
def test_square_finds_what_masked_gradients_hide(home: Path) -> None:
    pytest.importorskip("pyautoattack", reason="not installed: pip install 'advtui[autoattack]'")
    masked = Around(before=lambda images: (images * 16).round() / 16)
    assert SQUARE in faults(checked(home, masked, depth="full"))
    assert checked(home, trained(), depth="full")[SQUARE]["verdict"] == "pass"


def test_without_autoattack_square_is_skipped_with_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    weak = ATTACK.pgd.model_copy(update={"eps": 1 / 255, "step_size": 1 / 1020})
    found = checked(home, trained(), attack=Attack(name="a", pgd=weak), depth="full")
    assert found[SQUARE]["verdict"] == "skipped"
    assert "advtui[autoattack]" in found[SQUARE]["advice"]


def test_the_probe_is_the_runs_own_untargeted_pgd_else_one_of_its_budget() -> None:
    own = AttackSpec(attacks=(named_attack("fgsm", ATTACK.pgd), ATTACK))
    assert base_attack(own).name == "fgsm"  # one step of cross-entropy is what this run trusts
    by_apgd = AttackSpec(attacks=(named_attack("apgd-dlr", ATTACK.pgd),))
    probed = base_attack(by_apgd).pgd
    assert (probed.loss, probed.eps, probed.steps) == ("ce", EPS, 20)
    curve = AttackSpec(
        attacks=(named_attack("autoattack", PGD(eps=0.0)),), epsilons=(0.0, 1 / 255, 2 / 255)
    )
    assert base_attack(curve).pgd.eps == 2 / 255


def test_probing_changes_nothing_that_is_counted_and_hears_a_stop(home: Path) -> None:
    spec = AttackSpec(data="digits", attacks=(ATTACK,), batch_size=64)
    one = attacker(home, trained(), spec)
    state = torch.get_rng_state()
    before = attack_all(one, ATTACK).outcome["levels"][0]["tally"]
    Prober(ATTACK, "quick", lambda: None).probe(one)
    after = attack_all(one, ATTACK).outcome["levels"][0]["tally"]
    assert {**before, "seconds": 0} == {**after, "seconds": 0}
    assert torch.equal(state, torch.get_rng_state())

    def stop() -> None:
        raise StopRequested

    with pytest.raises(StopRequested):
        Prober(ATTACK, "quick", stop).probe(one)


def test_smaller_batches_where_memory_is_short_give_the_same_figures(home: Path) -> None:
    weak = Attack(name="weak", pgd=PGD(eps=1 / 255, step_size=1 / 255, steps=1))
    spec = AttackSpec(data="digits", attacks=(weak,), batch_size=64)
    probes = []
    for batch_size in (64, 24):
        prober = Prober(base_attack(spec), "quick", lambda: None)
        models = [attacker(home, trained(), spec), attacker(home, trained(), spec)]
        for model in models:
            model._batch_size = batch_size  # as after a batch that did not fit
        probes.append([prober.probe(model) for model in models])

    for whole, parts in zip(*probes, strict=True):
        assert (parts.fgsm, parts.pgd, parts.more_steps) == (
            whole.fgsm,
            whole.pgd,
            whole.more_steps,
        )
        assert parts.transfer == whole.transfer


def test_a_model_that_knows_nothing_is_no_reason_to_fail(home: Path) -> None:
    always = Around(after=lambda logits: torch.zeros_like(logits) - logits.detach().abs())
    spec = AttackSpec(data="digits", attacks=(ATTACK,), batch_size=64)
    one = attacker(home, always, spec)
    one.test = Pictures(one.test.images, (one.logits.argmax(1) + 1) % 10, one.test.indices)
    found = Prober(ATTACK, "quick", lambda: None).probe(one)
    assert found.images == PROBED_IMAGES["quick"]
    assert found.loss_increase is None
    assert one.classify_clean() == 0


def test_the_panel_asks_the_trainings_and_begins_with_the_baseline(home: Path) -> None:
    store = Store(home)
    plain = store.create(TrainSpec(mode="baseline", recipe="standard", data="digits"))
    robust = store.create(TrainSpec(data="digits"))
    writer = EventWriter(robust.events_path)
    for epoch, (pgd, fgsm) in enumerate(((0.3, 0.4), (0.02, 0.8))):
        values: dict[str, float | None] = {"val_robust_accuracy": pgd, "val_fgsm_accuracy": fgsm}
        writer.write("metric", epoch=epoch, step=epoch, every="epoch", values=values)
    writer.write("checkpoint", name="best_robust", epoch=0, step=0, monitor=None, value=0.3)
    spec = AttackSpec(
        data="digits",
        attacks=(ATTACK,),
        batch_size=64,
        checkpoints=(
            CheckpointRef(run=robust.id, checkpoint="best_robust", label="Best robust"),
            CheckpointRef(run=plain.id, checkpoint="best_clean", label="Baseline"),
        ),
    )
    run = store.create(spec)
    events = EventWriter(run.events_path)
    models = [attacker(home, trained(), spec, label) for label in ("Best robust", "Baseline")]
    panel = sanity_panel(RunContext(run, events, StopSignal(run)), spec, models, [], [])
    found = {check["check"]: check for check in panel}
    assert found["no catastrophic overfitting in training"]["verdict"] == "warn"
    assert found["the last epoch is as robust as the best"]["value"] == pytest.approx(28)
    assert found[TRANSFER]["model"] == "Best robust"
    told = [e for e in EventReader(run.events_path).new() if e["kind"] == "progress"]
    seen = [(e["task"], e["done"], e["total"]) for e in told]
    assert list(dict.fromkeys(seen)) == [("sanity", n, 2) for n in range(3)]
