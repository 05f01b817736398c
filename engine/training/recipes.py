"""The losses that a training minimises: a recipe maps (model, batch, setting) to a loss.

``images`` are float (N, 3, H, W) in [0, 1], ``labels`` int64 (N,). Each recipe returns the scalar
loss and the logits (N, classes) that its cross-entropy was computed from. Recipes know nothing
about data sets, optimisers and Lightning.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.profiler import record_function

from engine.attacks.active_set import ActiveBatch
from engine.attacks.frozen_model import frozen
from engine.attacks.losses import at_least_float32
from engine.attacks.norms import GEOMETRIES, Generators, PartOfBatch, draw
from engine.attacks.pgd import GradientStep, pgd
from engine.training.awp import ForwardWith, Loss, Network, at_worst_weights
from engine.training.losses import boosted_cross_entropy, kl_divergence
from engine.world import ALONE, World
from runs.attacks import named_attack
from runs.spec import TrainSpec
from runs.threat_model import PGD


@dataclass(frozen=True)
class Setting:
    """The arguments of a recipe besides the model and the batch."""

    spec: TrainSpec
    classes: int
    attacked: nn.Module
    """The network that is attacked: the model, or a cheaper network that computes the same."""
    generator: torch.Generator
    """Source of the random starts and targets of this batch."""
    strength: float = 1.0
    """Factor of ε and step size, in [0, 1]."""
    gradient_step: GradientStep | None = None
    """Computes a step of an attack on ``attacked``; None: autograd."""
    forward_with: ForwardWith = functional_call
    """A forward pass of the model with other weights or buffers."""
    world: World = ALONE
    """The processes that share the batch: each has every ``world.size``-th image of it."""

    def local_places(self, first: int, end: int) -> slice:
        """The places of this process's images among ``first`` … ``end``, counted from ``first``."""
        rank, size = self.world.rank, self.world.size
        return slice((rank - first) % size, end - first, size)

    def source(self, images: Tensor, span: tuple[int, int] | None = None) -> Generators:
        """Source of random numbers for this process's images.

        Args:
            images: (N, 3, H, W), of this process.
            span: of the whole batch, the first of their places and that after the last; None: all.
        """
        if self.world.size == 1:
            return self.generator
        first, end = span or (0, len(images) * self.world.size)
        return PartOfBatch(self.generator, end - first, self.local_places(first, end))

    @property
    def attack(self) -> PGD:
        """The attack of this batch: that of the spec, with ε and step size times ``strength``."""
        full, share = self.spec.attack, self.strength
        changes = {"eps": share * full.eps, "step_size": share * full.step_size}
        return full if share == 1 else full.model_copy(update=changes)


TRADES_START = 0.001
"""Standard deviation of the noise around x at which the search of TRADES begins, in pixels of
[0, 1]; the value of the authors' code."""
Recipe = Callable[[nn.Module, Tensor, Tensor, Setting], Loss]


def standard(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on clean images: the baseline."""
    return _with_awp(model, setting, lambda f: _cross_entropy(f, images, labels, setting))


def pgd_at(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on untargeted adversarial images (Madry et al. 2018, equation 2.1)."""
    adversarial = _craft(images, labels, setting)
    return standard(model, adversarial, labels, setting)


def mixed(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """The poster's recipe: cross-entropy on a batch of clean, targeted and untargeted images.

    The shares are ``mixed_clean``, ``mixed_targeted`` and the remainder. The parts are cut in
    order, because batches are shuffled. Targets are uniform over the wrong classes.
    """
    whole = len(images) * setting.world.size
    clean = round(setting.spec.mixed_clean * whole)
    last = min(clean + round(setting.spec.mixed_targeted * whole), whole)  # of the targeted ones
    spans = [(0, clean), (clean, last), (last, whole)]
    sizes = [len(range(end - first)[setting.local_places(first, end)]) for first, end in spans]
    clean_images, targeted_images, untargeted_images = torch.split(images, sizes)
    _, targeted_labels, untargeted_labels = torch.split(labels, sizes)
    generator = setting.generator
    offset = torch.randint(
        1, setting.classes, (last - clean,), generator=generator, device=generator.device
    )[setting.local_places(clean, last)]
    targets = (targeted_labels + offset.to(labels.device)) % setting.classes
    towards_targets = _craft(targeted_images, targeted_labels, setting, targets, spans[1])
    untargeted = _craft(untargeted_images, untargeted_labels, setting, span=spans[2])
    batch = torch.cat([clean_images, towards_targets, untargeted])
    return standard(model, batch, labels, setting)


def trades(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """CE(f(x), y) + β·KL(f(x)‖f(x′)), where x′ maximises the divergence (Zhang et al. 2019,
    equation 5).

    The search for x′ begins at Gaussian noise around x, as in the authors' code: at x itself the
    gradient of the divergence is 0. β is ``beta``, by default the paper's 6.
    """
    adversarial = _largest_divergence(images, labels, setting)

    def loss(f: Network) -> Loss:
        natural, logits = _cross_entropy(f, images, labels, setting)
        divergence = kl_divergence(logits, f(adversarial)).mean()
        return natural + _beta(setting, 6.0) * divergence, logits

    return _with_awp(model, setting, loss)


@record_function("attack")
def _largest_divergence(images: Tensor, labels: Tensor, setting: Setting) -> Tensor:
    """Points of the ε-ball that maximise KL(f(x)‖f(x′)), found by PGD."""
    attacked, attack = setting.attacked, setting.attack
    source = setting.source(images)
    with torch.no_grad(), frozen(attacked, attack.craft_mode):
        clean = attacked(images)

    def divergence(logits: Tensor, batch: ActiveBatch) -> Tensor:
        return kl_divergence(clean[batch.indices], logits)

    start = images + TRADES_START * draw(torch.randn, images, source)
    return pgd(
        attacked,
        images,
        labels,
        attack,
        generator=source,
        start=start,
        keep="last",
        objective=divergence,
        gradient_step=setting.gradient_step,
    )


def mart(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """BCE(f(x′), y) + λ·KL(f(x)‖f(x′))·(1 − p_y(x)), averaged (Wang et al. 2020, equations 8–11).

    x′ is crafted with cross-entropy. The factor 1 − p_y(x) gives more weight to images that the
    model classifies wrongly when clean. λ is ``beta``, by default the paper's 5. The returned
    logits are those of x′.
    """
    adversarial = _craft(images, labels, setting)

    def loss(f: Network) -> Loss:
        clean, logits = f(images), f(adversarial)
        probabilities = F.softmax(at_least_float32(clean), dim=1)
        label_probability = probabilities.gather(1, labels[:, None]).squeeze(1)
        divergence = kl_divergence(clean, logits) * (1 - label_probability)
        boosted = boosted_cross_entropy(logits, labels, setting.spec.label_smoothing)
        return (boosted + _beta(setting, 5.0) * divergence).mean(), logits

    return _with_awp(model, setting, loss)


def fast(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy after one step of N-FGSM (de Jorge et al. 2022, algorithm 1).

    x′ = x + η + ε·sign(∇L(x + η)), η uniform in [−kε, kε], k = ``fast_noise``. Nothing is
    projected onto the ε-ball around x; x + η and x′ are clipped to [0, 1], as in the authors' code.
    The paper does not treat L2: there η is uniform in the ball of radius kε and the step has the
    length ε.
    """
    attack = setting.attack
    radius = setting.spec.fast_noise * attack.eps
    source = setting.source(images)
    noised = GEOMETRIES[attack.norm].random_start(images, radius, source)
    fgsm = named_attack("fgsm", attack).pgd
    with record_function("attack"):
        adversarial = pgd(
            setting.attacked, noised, labels, fgsm, keep="last", gradient_step=setting.gradient_step
        )
    return standard(model, adversarial, labels, setting)


def strength(step: int, steps: int, warmup: float) -> float:
    """Factor of ε at an optimiser step, in [0, 1].

    It rises linearly from 0 to 1 over the first ``warmup``·``steps`` steps, and is then 1.
    """
    return min(1.0, step / (warmup * steps)) if warmup else 1.0


def _with_awp(model: nn.Module, setting: Setting, loss: Callable[[Network], Loss]) -> Loss:
    """``loss`` of the model; with ``awp_gamma`` at its worst weights nearby."""
    gamma = setting.spec.awp_gamma
    if not gamma:
        return loss(model)
    average = setting.world.average
    return at_worst_weights(model, loss, gamma, setting.forward_with, average)


def _cross_entropy(f: Network, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    logits = f(images)
    smoothing = setting.spec.label_smoothing
    return F.cross_entropy(at_least_float32(logits), labels, label_smoothing=smoothing), logits


def _beta(setting: Setting, default: float) -> float:
    return default if setting.spec.beta is None else setting.spec.beta


@record_function("attack")
def _craft(
    images: Tensor,
    labels: Tensor,
    setting: Setting,
    targets: Tensor | None = None,
    span: tuple[int, int] | None = None,
) -> Tensor:
    """Adversarial images by PGD; ``span`` is of :meth:`Setting.source`."""
    return pgd(
        setting.attacked,
        images,
        labels,
        setting.attack,
        targets=targets,
        generator=setting.source(images, span),
        keep="last",
        gradient_step=setting.gradient_step,
    )


RECIPES: dict[str, Recipe] = {
    "standard": standard,
    "pgd-at": pgd_at,
    "mixed": mixed,
    "trades": trades,
    "mart": mart,
    "fast": fast,
}
