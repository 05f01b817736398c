"""One attack of an evaluation: whom it aims at, and what its noise depends on."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.attacks.batch_attack import attack_batch, choose_targets
from runs.threat_model import PGD, Attack

RULES = ["random", "least-likely", "runner-up", "next"]
CLASSES, COUNT = 10, 400


def logits_and_labels() -> tuple[Tensor, Tensor]:
    """Logits of a network that is right, wrong, and sure of the opposite, each now and then."""
    rng = torch.Generator().manual_seed(4)
    logits = torch.randn(COUNT, CLASSES, generator=rng)
    labels = torch.randint(CLASSES, (COUNT,), generator=rng)
    labels[::4] = logits[::4].argmax(dim=1)
    labels[1::4] = logits[1::4].argmin(dim=1)
    return logits, labels


def choose(rule: str, chosen: list[int], seed: int = 0) -> Tensor:
    logits, labels = logits_and_labels()
    return choose_targets(rule, labels[chosen], logits[chosen], chosen, seed)


@pytest.mark.parametrize("rule", RULES)
def test_a_target_is_a_class_other_than_the_label(rule: str) -> None:
    targets = choose(rule, list(range(COUNT)))
    assert targets.shape == (COUNT,)
    assert targets.dtype == torch.int64
    assert ((targets >= 0) & (targets < CLASSES)).all()
    assert not (targets == logits_and_labels()[1]).any()


@pytest.mark.parametrize("rule", RULES)
def test_with_two_classes_the_target_is_the_other_one(rule: str) -> None:
    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 2
    assert torch.equal(choose_targets(rule, labels, logits, list(range(50)), 0), 1 - labels)


@pytest.mark.parametrize("rule", RULES)
def test_equal_logits_still_give_a_class_other_than_the_label(rule: str) -> None:
    labels = torch.arange(CLASSES)
    targets = choose_targets(rule, labels, torch.zeros(CLASSES, CLASSES), list(range(CLASSES)), 0)
    assert not (targets == labels).any()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("least-likely", [1, 2, 1]),
        ("runner-up", [3, 0, 0]),
        ("next", [1, 2, 0]),
    ],
)
def test_each_rule_names_the_class_that_it_says(rule: str, expected: list[int]) -> None:
    logits = torch.tensor([[4.0, -1.0, 0.0, 3.0], [4.0, 2.0, -1.0, 3.0], [4.0, -1.0, 0.0, -9.0]])
    labels = torch.tensor([0, 1, 3])  # right; wrong; the least likely class itself
    assert choose_targets(rule, labels, logits, [7, 8, 9], 0).tolist() == expected


def test_a_random_target_depends_on_seed_and_index_alone() -> None:
    whole = choose("random", list(range(COUNT)))
    for part in ([17], [300, 4, 52], list(range(100, 200))):
        assert torch.equal(choose("random", part), whole[part])
    logits, labels = logits_and_labels()
    indices = list(range(COUNT))
    assert torch.equal(choose_targets("random", labels, -logits, indices, 0), whole)
    assert not torch.equal(choose("random", indices, seed=1), whole)
    assert not torch.equal(choose_targets("random", labels, logits, indices[::-1], 0), whole)


def test_random_targets_are_uniform_over_the_wrong_classes() -> None:
    count = 4500
    labels = torch.zeros(count, dtype=torch.long)
    targets = choose_targets("random", labels, torch.zeros(count, CLASSES), list(range(count)), 3)
    found = torch.bincount(targets, minlength=CLASSES)
    assert found[0] == 0
    assert found[1:].min() > 400  # 500 are expected, with a deviation of 21
    assert found[1:].max() < 600


# --- attack_batch ----------------------------------------------------------------------------


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, CLASSES)
        )
    return net.double().eval()


IMAGES = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = network()(IMAGES).argmax(dim=1)


def run_attack(
    places: list[int], seed: int = 0, targets: str | None = None, indices: Any = None, **pgd: Any
) -> tuple[Tensor, Tensor | None]:
    setting = PGD(**{"eps": 0.01, "step_size": 0.004, "steps": 3, "restarts": 2, **pgd})
    net = network()
    with torch.no_grad():
        logits = net(IMAGES[places])
    return attack_batch(
        net,
        IMAGES[places],
        LABELS[places],
        [100 + place for place in places] if indices is None else indices,
        Attack(name="a", pgd=setting, targets=targets),
        logits=logits,
        seed=seed,
    )


@pytest.mark.parametrize("targets", [None, *RULES])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_images_outcome_does_not_depend_on_its_batch(targets: str | None, norm: str) -> None:
    whole, aims = run_attack(list(range(20)), targets=targets, norm=norm)
    for part in ([3], [19, 0, 7], list(range(5, 15))):
        found, own_aims = run_attack(part, targets=targets, norm=norm)
        torch.testing.assert_close(found, whole[part], rtol=0, atol=1e-9)
        if aims is None:
            assert own_aims is None
        else:
            assert own_aims is not None
            assert torch.equal(own_aims, aims[part])


def test_noise_follows_the_seed_and_the_index() -> None:
    places = list(range(6))
    first, _ = run_attack(places)
    assert torch.equal(run_attack(places)[0], first)
    assert not torch.equal(run_attack(places, seed=1)[0], first)
    assert not torch.equal(run_attack(places, indices=[500 + p for p in places])[0], first)


def test_without_a_random_start_seed_and_index_do_not_matter() -> None:
    places = list(range(6))
    still: dict[str, Any] = {"random_start": False, "restarts": 1}
    first, _ = run_attack(places, **still)
    other, _ = run_attack(places, seed=5, indices=[0] * 6, **still)
    assert torch.equal(first, other)


def test_a_targeted_attack_reaches_the_targets_that_it_returns() -> None:
    found, aims = run_attack(list(range(20)), targets="runner-up", eps=0.3, step_size=0.1, steps=10)
    assert aims is not None
    with torch.no_grad():
        predicted = network()(found).argmax(dim=1)
    assert torch.equal(predicted, aims)


def test_an_untargeted_attack_keeps_a_point_that_fools() -> None:
    found, aims = run_attack(list(range(20)), eps=0.3, step_size=0.1, steps=10)
    assert aims is None
    with torch.no_grad():
        assert not (network()(found).argmax(dim=1) == LABELS).any()


@pytest.mark.parametrize("targets", [None, *RULES])
def test_no_image_is_no_work(targets: str | None) -> None:
    found, aims = run_attack([], targets=targets)
    assert found.shape == (0, 3, 8, 8)
    assert (aims is None) == (targets is None)
    assert aims is None or len(aims) == 0


@pytest.mark.parametrize("rule", RULES)
def test_targets_of_no_image_are_int64_too(rule: str) -> None:
    assert choose(rule, []).dtype == torch.int64


# --- the targets "all" -----------------------------------------------------------------------


def test_all_targets_tries_the_likeliest_wrong_class_first_and_stops_when_taken_for_one() -> None:
    places = list(range(20))
    with torch.no_grad():
        logits = network()(IMAGES)
    ranked = logits.scatter(1, LABELS[:, None], -torch.inf).argsort(dim=1, descending=True)
    found, aims = run_attack(places, targets="all", eps=0.02)
    assert aims is not None
    with torch.no_grad():
        taken_for = network()(found).argmax(dim=1)
    reached = taken_for == aims
    assert 0 < int(reached.sum()) < 20
    for n in places:
        tried = ranked[n, : CLASSES - 1].tolist()
        if not reached[n]:
            assert int(aims[n]) == tried[-1]  # every wrong class was tried
            continue
        for earlier in tried[: tried.index(int(aims[n]))]:
            missed = _one_target(n, earlier, eps=0.02)
            with torch.no_grad():
                assert int(network()(missed).argmax()) != earlier


def _one_target(place: int, target: int, **pgd: Any) -> Tensor:
    """One image towards one class, from its image: what a random start adds is another matter."""
    from engine.attacks.pgd import pgd as routine

    setting = PGD(**{"eps": 0.01, "step_size": 0.004, "steps": 3, "random_start": False, **pgd})
    aim = torch.tensor([target])
    return routine(
        network(), IMAGES[place : place + 1], LABELS[place : place + 1], setting, targets=aim
    )


def test_all_targets_is_the_strongest_rule_and_fewer_classes_are_weaker() -> None:
    def reached(rule: str, limit: int | None = None) -> Tensor:
        net = network()
        with torch.no_grad():
            logits = net(IMAGES)
        setting = PGD(eps=0.02, step_size=0.004, steps=8, random_start=False)
        found, aims = attack_batch(
            net, IMAGES, LABELS, list(range(20)),
            Attack(name="a", pgd=setting, targets=rule, target_classes=limit),
            logits=logits, seed=0,
        )  # fmt: skip
        with torch.no_grad():
            taken_for: Tensor = net(found).argmax(dim=1)
        assert aims is not None
        return taken_for == aims

    every = reached("all")
    assert (reached("all", 1) == reached("runner-up")).all()
    for rule in RULES:
        assert (reached(rule) <= every).all()
    assert (reached("all", 3) <= every).all()


def test_all_targets_tells_each_image_once_as_done() -> None:
    left: list[int] = []
    net = network()
    with torch.no_grad():
        logits = net(IMAGES)
    attack_batch(
        net, IMAGES, LABELS, list(range(20)),
        Attack(name="a", pgd=PGD(eps=0.02, step_size=0.004, steps=3), targets="all"),
        logits=logits, seed=0, on_step=lambda step: left.append(len(step.images)),
    )  # fmt: skip
    assert left == sorted(left, reverse=True)  # a bar that only ever fills
    assert left[0] == 20


@pytest.mark.parametrize("targets", [None, "random", "all"])
def test_apgd_is_an_attack_like_any_other(targets: str | None) -> None:
    net = network()
    with torch.no_grad():
        logits = net(IMAGES)
    found, aims = attack_batch(
        net, IMAGES, LABELS, list(range(20)),
        Attack(name="a", method="apgd", pgd=PGD(eps=0.02, steps=10), targets=targets),
        logits=logits, seed=0,
    )  # fmt: skip
    assert float((found - IMAGES).abs().max()) <= 0.02 + 1e-9
    assert (aims is None) == (targets is None)
    with torch.no_grad():
        assert (net(found).argmax(dim=1) != LABELS).any()
