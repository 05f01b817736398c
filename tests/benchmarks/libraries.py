"""PGD of other libraries and of ours behind one signature, each used as its own manual says.

A *preparer* takes (model, spec) and does once what a user does once: wraps the model, sets the
attack up, folds BatchNorm. What it returns crafts one batch: (images, labels, places) to
adversarial images. ``places``, the images' numbers in their split, are what our noise depends on;
the others draw theirs from the global random state. Only L∞, untargeted, cross-entropy.
"""

from collections.abc import Callable
from importlib.metadata import version

import pytest
import torch
from torch import Tensor, nn

from engine.attacks.batch_attack import attack_batch
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import PictureClassifier
from runs.threat_model import PGD, Attack

Craft = Callable[[Tensor, Tensor, list[int]], Tensor]
Prepare = Callable[[PictureClassifier, PGD], Craft]

DISTRIBUTIONS = {
    "torchattacks": "torchattacks",
    "adv-lib": "adv-lib",
    "foolbox": "foolbox",
    "ART": "adversarial-robustness-toolbox",
}
"""The libraries, and what they are called in a registry."""


def needs(module: str, extra: str = "parity") -> None:
    """Skip the test that asks, with a reason, where the module is not installed."""
    extra = "adv-lib" if module == "adv_lib" else extra
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'advtui[{extra}]'")


def named(name: str) -> str:
    """``foolbox 3.3.4``."""
    return f"{name} {version(DISTRIBUTIONS.get(name, name))}"


def ours(model: PictureClassifier, spec: PGD) -> Craft:
    """As an attack run does it: BatchNorm folded away, the noise of each image its own."""
    folded, attack = Folded(model).network, Attack(name="pgd-untargeted", pgd=spec)
    unused = torch.empty(0)  # clean logits choose targets, and here are none

    def craft(images: Tensor, labels: Tensor, places: list[int]) -> Tensor:
        found, _ = attack_batch(folded, images, labels, places, attack, logits=unused, seed=0)
        return found

    return craft


def torchattacks(model: PictureClassifier, spec: PGD) -> Craft:
    from torchattacks import PGD as Theirs

    attack = Theirs(
        model, eps=spec.eps, alpha=spec.step_size, steps=spec.steps, random_start=spec.random_start
    )
    return lambda images, labels, _: attack(images, labels)


def adv_lib(model: PictureClassifier, spec: PGD) -> Craft:
    from adv_lib.attacks import pgd_linf

    return lambda images, labels, _: pgd_linf(
        model,
        images,
        labels,
        spec.eps,
        steps=spec.steps,
        random_init=spec.random_start,
        absolute_step_size=spec.step_size,
    )


def foolbox(model: PictureClassifier, spec: PGD) -> Craft:
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfPGD

    attack = LinfPGD(abs_stepsize=spec.step_size, steps=spec.steps, random_start=spec.random_start)
    wrapped = PyTorchModel(model, bounds=(0, 1), device=device_of(model))
    # run() is the attack; calling the object instead looks at its outcome as well.
    return lambda images, labels, _: attack.run(wrapped, images, labels, epsilon=spec.eps)


def art(model: PictureClassifier, spec: PGD) -> Craft:
    import numpy as np
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    device = device_of(model)
    classes = next(m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear))
    estimator = PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 32, 32),
        nb_classes=classes.out_features,
        clip_values=(0.0, 1.0),
        device_type="gpu" if device.type == "cuda" else "cpu",
    )

    def craft(images: Tensor, labels: Tensor, _: list[int]) -> Tensor:
        attack = ProjectedGradientDescentPyTorch(
            estimator,
            norm=np.inf,
            eps=spec.eps,
            eps_step=spec.step_size,
            max_iter=spec.steps,
            num_random_init=int(spec.random_start),
            batch_size=len(images),
            verbose=False,
        )
        found = attack.generate(images.numpy(force=True), labels.numpy(force=True))
        return torch.from_numpy(found).to(device)

    return craft


PREPARERS: dict[str, Prepare] = {
    "torchattacks": torchattacks,
    "adv-lib": adv_lib,
    "foolbox": foolbox,
    "ART": art,
}
MODULES = {"torchattacks": "torchattacks", "adv-lib": "adv_lib", "foolbox": "foolbox", "ART": "art"}


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are."""
    return next(model.parameters()).device
