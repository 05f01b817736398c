"""Folding BatchNorm away leaves the function as it was."""

import pytest
import torch
from torch import Tensor, nn

from engine.models.batchnorm_folding import Folded
from engine.models.resnet import PictureClassifier, resnet18
from runs.spec import Activation


def network(width: int = 4, activation: Activation = "relu") -> PictureClassifier:
    """A narrow ResNet-18 whose BatchNorms differ from the identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = resnet18(7, width, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3], activation)
        stir(net)
    return net.eval()


def stir(net: nn.Module) -> None:
    """Change every weight and every BatchNorm statistic."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(torch.empty_like(module.weight).uniform_(0.8, 1.2))
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)


def pictures(count: int = 6) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def assert_same_function(folded: nn.Module, original: nn.Module) -> None:
    with torch.no_grad():
        expected, found = original(pictures()), folded(pictures())
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4


def differs(folded: nn.Module, original: nn.Module) -> bool:
    with torch.no_grad():
        expected, found = original(pictures()), folded(pictures())
    return float((found - expected).abs().max() / expected.abs().max()) > 1e-2


@pytest.mark.parametrize(("width", "activation"), [(3, "relu"), (8, "relu"), (3, "silu")])
def test_the_folded_network_computes_what_the_original_does_in_eval_mode(
    width: int, activation: Activation
) -> None:
    net = network(width, activation)
    assert_same_function(Folded(net).network, net)


def test_silu_stands_where_relu_stood_and_only_there() -> None:
    plain, smooth = network(), network(activation="silu")
    assert plain.state_dict().keys() == smooth.state_dict().keys()
    kinds = [[type(module) for module in net.modules()] for net in (plain, smooth)]
    assert [nn.SiLU if kind is nn.ReLU else kind for kind in kinds[0]] == kinds[1]
    assert kinds[0].count(nn.ReLU) == 9  # the stem's, and one in each of eight blocks
    assert differs(plain, smooth)


def test_no_batchnorm_is_left_and_nothing_is_trainable() -> None:
    folded = Folded(network()).network
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not folded.training


def test_input_gradients_agree_too() -> None:
    net = network()
    gradients = []
    for model in (net, Folded(net).network):
        images = pictures().requires_grad_()
        (gradient,) = torch.autograd.grad(model(images).logsumexp(1).sum(), images)
        gradients.append(gradient)
    gap = (gradients[0] - gradients[1]).abs().max() / gradients[0].abs().max()
    assert float(gap) < 1e-4


def test_refresh_follows_changed_weights_and_statistics() -> None:
    net = network()
    folded = Folded(net)
    tensors = [p.data_ptr() for p in folded.network.parameters()]
    stir(net)
    assert differs(folded.network, net)  # until it is refreshed
    folded.refresh()
    assert_same_function(folded.network, net)
    assert tensors == [p.data_ptr() for p in folded.network.parameters()]  # in place


@pytest.mark.parametrize("part", ["running_mean", "running_var", "weight", "bias"])
@pytest.mark.parametrize("where", ["bn1", "layer1.0.bn2", "layer2.0.downsample.1", "layer4.1.bn1"])
def test_refresh_follows_each_part_of_each_batchnorm(part: str, where: str) -> None:
    net = network()
    folded = Folded(net)
    with torch.no_grad():
        tensor = getattr(net.network.get_submodule(where), part)
        tensor.add_(torch.linspace(0.5, 3, len(tensor)))
    folded.refresh()
    assert_same_function(folded.network, net)


def test_refresh_takes_the_statistics_of_a_network_in_training() -> None:
    net = network()
    folded = Folded(net)
    net.train()
    net(pictures())
    folded.refresh()
    assert net.training
    assert not folded.network.training
    assert_same_function(folded.network, net.eval())


@pytest.mark.parametrize("training", [True, False])
def test_the_original_is_left_alone(training: bool) -> None:
    net = network().train(training)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    folded = Folded(net)
    folded.refresh()
    with torch.no_grad():
        for parameter in folded.network.parameters():
            parameter.zero_()
    assert net.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(module.training == training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


def other_network() -> PictureClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 7)
        )
        stir(layers)
    return PictureClassifier(layers, [0.5] * 3, [0.25] * 3).eval()


def test_another_architecture_is_copied_as_it_is() -> None:
    net = other_network()
    assert_same_function(Folded(net).network, net)


def test_refreshing_another_architecture_keeps_its_function() -> None:
    net = other_network()
    folded = Folded(net)
    folded.refresh()
    assert_same_function(folded.network, net)
