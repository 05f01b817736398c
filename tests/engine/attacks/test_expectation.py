"""EoT: mean gradients and majority votes of a network that draws noise."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attacked_network import batch, network, rng, spec
from engine.attacks.apgd import apgd
from engine.attacks.expectation import ManyPasses, evaluated, vote
from engine.attacks.pgd import pgd
from engine.evaluation.attack_all import attack_all
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.probes import Prober
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from runs.attack_table import threat_model
from runs.attacks import named_attack
from runs.errors import UserError
from runs.events import EventWriter
from runs.overrides import override
from runs.spec import AttackSpec, TrainSpec
from runs.store import Store
from runs.threat_model import PGD
from tiny_classifier import model as tiny_model
from tiny_classifier import pictures

ROUTINES = pytest.mark.parametrize("routine", [pgd, apgd])


class Noisy(nn.Module):
    """The small network with noise on its input, as randomised smoothing adds it."""

    def __init__(self, inner: nn.Module, sigma: float) -> None:
        super().__init__()
        self.inner, self.sigma = inner, sigma

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images + self.sigma * torch.randn_like(images))
        return logits


def test_the_vote_is_the_majority_and_the_mean_probability_breaks_a_tie() -> None:
    first = torch.tensor([[2.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    second = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    third = torch.tensor([[0.0, 1.0, 0.0], [9.0, 0.0, 0.0]])
    assert vote([first, second, third]).argmax(dim=1).tolist() == [1, 0]
    assert vote([first, second]).argmax(dim=1).tolist() == [0, 0]  # one each: the surer wins
    torch.testing.assert_close(vote([first, second]).exp().sum(dim=1), torch.ones(2))


def test_loss_and_gradient_are_means_over_the_passes() -> None:
    images, _, _ = batch(torch.float32, count=4)
    many = ManyPasses(Noisy(network(torch.float32), 0.2), 5, seed=1)
    found = evaluated(many, images, lambda logits: logits.square().sum(dim=1))
    many.begin()
    points = images.clone().requires_grad_()
    losses = [answer.square().sum(dim=1) for answer in many.next_evaluation(points)]
    mean = torch.stack(losses).mean(dim=0)
    (gradient,) = torch.autograd.grad(mean.sum(), points)
    torch.testing.assert_close(found.loss, mean.detach())
    torch.testing.assert_close(found.gradient, gradient)
    assert len({float(loss.detach().sum()) for loss in losses}) == 5  # the noise differs


@ROUTINES
def test_results_are_reproducible_and_leave_random_state(
    routine: Callable[..., Tensor],
) -> None:
    images, labels, _ = batch(torch.float32)
    many = ManyPasses(Noisy(network(torch.float32), 0.2), 3, seed=1)
    before = torch.get_rng_state()
    runs = []
    for _ in range(2):
        many.begin()
        runs.append(routine(many, images, labels, spec("linf"), generator=rng()))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(before, torch.get_rng_state())


@ROUTINES
def test_it_is_stronger_than_single_gradients(routine: Callable[..., Tensor]) -> None:
    net = Noisy(network(torch.float32), 0.5)
    images, labels, _ = batch(torch.float32)
    setting = spec("linf", eps=0.06, step_size=0.015, steps=20)
    judge = ManyPasses(net, 101, seed=9)  # with noise that no attack has seen

    def broken(points: Tensor) -> int:
        with torch.no_grad():
            return int((judge(points).argmax(dim=1) != labels).sum())

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        single = broken(routine(net, images, labels, setting, generator=rng()))
    many = broken(routine(ManyPasses(net, 20, seed=1), images, labels, setting, generator=rng()))
    assert many >= single + 3


def under_attack(home: Path, eot: int) -> ModelUnderAttack:
    run = Store(home).create(TrainSpec())
    pgd_ = PGD(eps=2 / 255, step_size=1 / 255, steps=3)
    told = AttackSpec(seed=5, eot=eot, attacks=(named_attack("pgd-untargeted", pgd_),))
    context = RunContext(run, EventWriter(run.events_path), StopSignal(run))
    net = tiny_model()
    net.network = Noisy(net.network, 0.3).eval()
    one = ModelUnderAttack(net, "Noisy", pictures(), told, None, context)
    one.classify_clean()
    return one


def test_an_evaluation_counts_votes_and_is_reproducible(home: Path) -> None:
    outcomes = []
    for _ in range(2):
        one = under_attack(home, eot=3)
        found = attack_all(one, one.spec.attacks[0])
        outcomes.append((one.logits, found.predictions["pgd-untargeted"]))
    assert all(torch.equal(*pair) for pair in zip(*outcomes, strict=True))


def test_the_panel_advises_eot_and_skips_what_votes_may_change(home: Path) -> None:
    figures = [
        Prober(one.spec.attacks[0], "quick", lambda: None).probe(one)
        for one in (under_attack(home, eot=1), under_attack(home, eot=3))
    ]
    assert (figures[0].logit_change or 0) > 0.001
    assert figures[1].logit_change is None
    assert figures[1].change_at_zero is None


def test_the_threat_model_says_it_and_autoattack_is_refused() -> None:
    plain = AttackSpec()
    texts = [threat_model(told, 10, None)["attacks"][0]["text"]
             for told in (plain, override(plain, {"eot": 10}))]  # fmt: skip
    assert texts[1] == (
        f"{texts[0]}, EoT: mean gradient and majority vote of 10 passes, clean and attacked alike"
    )
    attacks = (named_attack("autoattack", PGD()),)
    with pytest.raises(UserError, match="AutoAttack is for networks without randomness"):
        override(AttackSpec(attacks=attacks), {"eot": 2})
