"""What training descends: a recipe is a pure function of (model, batch, setting) to a loss.

``images`` are float (N, 3, H, W) in [0, 1], ``labels`` int64 (N,). Each recipe returns the scalar
loss and the logits (N, classes) that its cross-entropy was taken from.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.profiler import record_function

from engine.attacks.active_set import ActiveBatch
from engine.attacks.frozen_model import as_found
from engine.attacks.losses import widened
from engine.attacks.norms import GEOMETRIES
from engine.attacks.pgd import Ascend, pgd
from engine.training.awp import At, Loss, Network, at_worst_weights
from engine.training.losses import boosted_cross_entropy, kl_divergence
from runs.attacks import named_attack
from runs.spec import TrainSpec
from runs.threat_model import PGD


@dataclass(frozen=True)
class Setting:
    """What a recipe needs beside the model and the batch."""

    spec: TrainSpec
    classes: int
    attacked: nn.Module
    """The network that the attack looks at: the model, or a cheaper one of the same function."""
    noise: torch.Generator
    """Randomness of this batch's attacks."""
    strength: float = 1.0
    """Share of ε and step size in force, in [0, 1]."""
    ascend: Ascend | None = None
    """How a step of an attack on ``attacked`` is done; None: by autograd."""
    at: At = functional_call
    """How pictures pass through the model at other weights."""

    @property
    def attack(self) -> PGD:
        """The attack of this batch."""
        full, share = self.spec.attack, self.strength
        changes = {"eps": share * full.eps, "step_size": share * full.step_size}
        return full if share == 1 else full.model_copy(update=changes)


TRADES_START = 0.001
"""Standard deviation of the noise at which TRADES begins, in pixels of [0, 1]: the authors'."""
Recipe = Callable[[nn.Module, Tensor, Tensor, Setting], Loss]


def standard(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on clean images: the baseline."""
    return _descend(model, setting, lambda f: _cross_entropy(f, images, labels, setting))


def pgd_at(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy on untargeted adversarial images (Madry et al. 2018, equation 2.1)."""
    adversarial = _craft(images, labels, setting)
    return standard(model, adversarial, labels, setting)


def mixed(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """The poster's diagram: each batch is part clean, part targeted and part untargeted.

    The shares are ``mixed_clean``, ``mixed_targeted`` and what is left; batches are shuffled, so
    the parts are cut in order. Targets are uniform over the wrong classes.
    """
    clean = round(setting.spec.mixed_clean * len(images))
    targeted = min(round(setting.spec.mixed_targeted * len(images)), len(images) - clean)
    sizes = [clean, targeted, len(images) - clean - targeted]
    calm, towards, away = torch.split(images, sizes)
    _, towards_labels, away_labels = torch.split(labels, sizes)
    noise = setting.noise
    offset = torch.randint(1, setting.classes, (targeted,), generator=noise, device=noise.device)
    targets = (towards_labels + offset.to(labels.device)) % setting.classes
    towards = _craft(towards, towards_labels, setting, targets)
    away = _craft(away, away_labels, setting)
    return standard(model, torch.cat([calm, towards, away]), labels, setting)


def trades(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """CE(f(x), y) + β·KL(f(x)‖f(x′)), x′ where the divergence is largest (Zhang et al. 2019,
    equation 5).

    The search for x′ begins at Gaussian noise around x, as in the authors' code: at x itself the
    divergence has no gradient. β is ``beta``, by default the paper's 6.
    """
    adversarial = _farthest(images, labels, setting)

    def loss(f: Network) -> Loss:
        natural, logits = _cross_entropy(f, images, labels, setting)
        divergence = kl_divergence(logits, f(adversarial)).mean()
        return natural + _beta(setting, 6.0) * divergence, logits

    return _descend(model, setting, loss)


@record_function("attack")
def _farthest(images: Tensor, labels: Tensor, setting: Setting) -> Tensor:
    """Points of the ε-ball where the prediction is farthest from the clean one, as KL has it."""
    attacked, noise, attack = setting.attacked, setting.noise, setting.attack
    with torch.no_grad(), as_found(attacked, attack.craft_mode):
        clean = attacked(images)

    def divergence(logits: Tensor, batch: ActiveBatch) -> Tensor:
        return kl_divergence(clean[batch.indices], logits)

    gauss = torch.randn(images.shape, generator=noise, device=noise.device, dtype=images.dtype)
    start = images + TRADES_START * gauss.to(images.device)
    return pgd(
        attacked,
        images,
        labels,
        attack,
        generator=noise,
        start=start,
        keep="last",
        objective=divergence,
        ascend=setting.ascend,
    )


def mart(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """BCE(f(x′), y) + λ·KL(f(x)‖f(x′))·(1 − p_y(x)), averaged (Wang et al. 2020, equations 8–11).

    x′ is crafted with cross-entropy; images that are misclassified when clean weigh more. λ is
    ``beta``, by default the paper's 5. The logits returned are those of x′.
    """
    adversarial = _craft(images, labels, setting)

    def loss(f: Network) -> Loss:
        clean, logits = f(images), f(adversarial)
        right = F.softmax(widened(clean), dim=1).gather(1, labels[:, None]).squeeze(1)
        divergence = kl_divergence(clean, logits) * (1 - right)
        boosted = boosted_cross_entropy(logits, labels, setting.spec.label_smoothing)
        return (boosted + _beta(setting, 5.0) * divergence).mean(), logits

    return _descend(model, setting, loss)


def fast(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    """Cross-entropy one step away: N-FGSM (de Jorge et al. 2022, algorithm 1).

    x′ = x + η + ε·sign(∇L(x + η)), η uniform in [−kε, kε], k = ``fast_noise``. Nothing is
    projected onto the ε-ball; x + η and x′ are clipped to [0, 1], as in the authors' code. In L2,
    which the paper leaves out, η is uniform in the ball of radius kε and the step is ε long.
    """
    attack = setting.attack
    reach = setting.spec.fast_noise * attack.eps
    noised = GEOMETRIES[attack.norm].random_start(images, reach, setting.noise)
    once = named_attack("fgsm", attack).pgd
    with record_function("attack"):
        adversarial = pgd(
            setting.attacked, noised, labels, once, keep="last", ascend=setting.ascend
        )
    return standard(model, adversarial, labels, setting)


def strength(step: int, steps: int, warmup: float) -> float:
    """Share of ε in force at a step: rises linearly from 0, and is 1 after ``warmup``·``steps``."""
    return min(1.0, step / (warmup * steps)) if warmup else 1.0


def _descend(model: nn.Module, setting: Setting, loss: Callable[[Network], Loss]) -> Loss:
    gamma = setting.spec.awp_gamma
    return at_worst_weights(model, loss, gamma, setting.at) if gamma else loss(model)


def _cross_entropy(f: Network, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
    logits = f(images)
    smoothing = setting.spec.label_smoothing
    return F.cross_entropy(widened(logits), labels, label_smoothing=smoothing), logits


def _beta(setting: Setting, usual: float) -> float:
    return usual if setting.spec.beta is None else setting.spec.beta


@record_function("attack")
def _craft(
    images: Tensor, labels: Tensor, setting: Setting, targets: Tensor | None = None
) -> Tensor:
    return pgd(
        setting.attacked,
        images,
        labels,
        setting.attack,
        targets=targets,
        generator=setting.noise,
        keep="last",
        ascend=setting.ascend,
    )


RECIPES: dict[str, Recipe] = {
    "standard": standard,
    "pgd-at": pgd_at,
    "mixed": mixed,
    "trades": trades,
    "mart": mart,
    "fast": fast,
}
