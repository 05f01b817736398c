"""PGD leaves the model, its arguments and the random state as they were."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attacked_network import COUNT, Net, batch, network, rng, spec
from engine.attacks.active_set import Step
from engine.attacks.pgd import pgd
from model_state import assert_as_found, snapshot

# --- the model as found ----------------------------------------------------------------------


def all_train(net: Net) -> None:
    net.train()


def all_eval(net: Net) -> None:
    net.eval()


def mixed_modes(net: Net) -> None:
    net.train()
    net.norm.eval()


def eval_but_dropout(net: Net) -> None:
    net.eval()
    net.drop.train()


def some_frozen(net: Net) -> None:
    net.train()
    net.conv.requires_grad_(False)
    net.head.bias.requires_grad_(False)


def with_gradients(net: Net) -> None:
    net.train()
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    net.head.weight.grad = None


SHAPES = [all_train, all_eval, mixed_modes, eval_but_dropout, some_frozen, with_gradients]


@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_model_is_left_as_found(
    craft_mode: str, shape: Callable[[Net], None], keep: Any
) -> None:
    net, (images, labels, _) = network(), batch()
    shape(net)
    before = snapshot(net)
    setting = spec("linf", craft_mode=craft_mode, restarts=2)
    pgd(net, images, labels, setting, generator=rng(), keep=keep)
    assert_as_found(before, snapshot(net))
    assert set(net.modes) == {craft_mode == "train"}  # and it was attacked in that mode
    assert not any(net.trainable)


@pytest.mark.parametrize("craft_mode", ["eval", "train"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("fails_at", [1, 4, 7])
def test_the_model_is_left_as_found_when_it_fails_in_the_middle(
    craft_mode: str, shape: Callable[[Net], None], fails_at: int
) -> None:
    net, (images, labels, _) = network(), batch()
    shape(net)
    net.fails_at = fails_at
    before = snapshot(net)
    with pytest.raises(RuntimeError, match="out of memory"):
        pgd(net, images, labels, spec("linf", craft_mode=craft_mode), generator=rng())
    assert len(net.sizes) == fails_at
    assert_as_found(before, snapshot(net))


def test_the_model_is_left_as_found_when_the_observer_stops_the_attack() -> None:
    net, (images, labels, _) = network(), batch()
    net.train()
    before = snapshot(net)

    def stop(step: Step) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pgd(net, images, labels, spec("l2", craft_mode="train"), generator=rng(), on_step=stop)
    assert_as_found(before, snapshot(net))


def test_arguments_are_left_alone_and_the_result_is_no_view_of_them() -> None:
    images, labels, aims = batch()
    before = images.clone(), labels.clone(), aims.clone()
    needing = images.requires_grad_()
    found = pgd(network(), needing, labels, spec("linf"), targets=aims, generator=rng())
    assert not found.requires_grad
    assert needing.grad is None
    found.zero_()
    for now, then in zip((needing, labels, aims), before, strict=True):
        assert torch.equal(now, then)


def test_training_mode_attacks_whole_batches_with_batch_statistics() -> None:
    images, labels, _ = batch()
    net = network()
    setting = spec("linf", craft_mode="train")
    in_train = pgd(net, images, labels, setting, generator=rng(), keep="last")
    assert net.sizes == [COUNT] * 6
    net.sizes.clear()
    pgd(net, images, labels, setting, generator=rng())
    assert net.sizes == [COUNT] * 7  # no active set, whatever the spec says
    in_eval = pgd(network(), images, labels, spec("linf"), generator=rng(), keep="last")
    assert not torch.equal(in_train, in_eval)


def test_gradients_are_taken_with_respect_to_the_input_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels, _ = batch()
    net = network().train()
    touched: list[str] = []
    for name, parameter in net.named_parameters():
        parameter.register_hook(lambda _, name=name: touched.append(name))
    asked: list[int] = []
    take = torch.autograd.grad

    def watch(outputs: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        asked.append(1 if isinstance(inputs, Tensor) else len(inputs))
        return take(outputs, inputs, *rest, **more)

    monkeypatch.setattr(torch.autograd, "grad", watch)
    pgd(net, images, labels, spec("linf"), generator=rng(), keep="last")
    assert asked == [1] * 6
    assert touched == []
    assert not any(net.trainable)
    assert all(p.grad is None for p in net.parameters())
