"""Probes of a model: measure the figures that :mod:`engine.evaluation.sanity.checks` judges.

All are measured on a subset of the test images, with the attack of the run: whether attacks use the
model that is counted, whether the attack raises its loss and converges, and how often stronger and
weaker attacks and attacks without gradients succeed. The module knows nothing about limits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, repeat
from typing import Any

import torch
from torch import Tensor

from engine.attacks.active_set import Step
from engine.attacks.autoattack import authors_code
from engine.attacks.frozen_model import frozen, input_gradient
from engine.attacks.losses import objective
from engine.attacks.norms import GEOMETRIES
from engine.data.pictures import to_float
from engine.data.splits import balanced_places
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.evaluation.sanity.loss_increase import LossIncrease
from engine.seeding import image_generators
from runs.attacks import named_attack
from runs.errors import UserError
from runs.passes import PROBED_IMAGES
from runs.spec import AttackSpec
from runs.threat_model import EVALUATION_PGD, PGD, Attack

MORE_STEPS = 5
"""Factor of the steps in the probe for convergence."""
GREY = 0.5
"""ε for L∞, in pixels of [0, 1], at which every image can be made the same grey."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Figures of one model on ``images`` test images. Shares are in [0, 1]; None: not measured."""

    model: str
    """Its label in the table."""
    images: int
    in_train_mode: int
    """Modules in train mode, of the original and of the copy that attacks use."""
    accuracy_gap: float
    """Difference between the clean accuracies of the original and of that copy."""
    logit_change: float | None
    """Largest change of a logit between two passes of the same input, as a share of the largest
    logit; None of votes (``--eot``)."""
    probabilities: float
    """Share of images whose logits are all ≥ 0 and sum to 1: they are probabilities."""
    lost_gradients: float
    """Share of images whose input gradient is zero everywhere, or has a non-finite value."""
    loss_increase: float | None = None
    """By how much the attack raises its own loss, as a mean over the images."""
    more_steps: float | None = None
    """Share of images on which only :data:`MORE_STEPS` times the steps succeed."""
    rise_with_eps: float | None = None
    """Largest increase of robust accuracy from one ε to the next, over 0, ε/2, ε and 2ε."""
    change_at_zero: float | None = None
    """Difference between the clean accuracy and the robust accuracy at ε = 0; None of votes."""
    robust_at_grey: float | None = None
    """Robust accuracy at :data:`GREY`."""
    noise: float | None = None
    """Share of images that a uniformly random point of the ball fools."""
    fgsm: float | None = None
    """Share of images that FGSM fools (Goodfellow et al. 2015)."""
    pgd: float | None = None
    """Share of images that the probed attack fools."""
    margin: float | None = None
    """Robust accuracy under cross-entropy minus that under the margin loss."""
    square: float | None = None
    """Share of images that Square (Andriushchenko et al. 2020) fools and that withstand
    cross-entropy, the margin loss and targeted APGD."""
    square_missing: str | None = None
    """Why Square was not run."""
    transfer: float | None = None
    """Success rate of the adversarial images of another model, the first that was probed, minus the
    white-box success rate."""
    transfer_from: str | None = None
    """The label of that other model."""


def base_attack(spec: AttackSpec) -> Attack:
    """The attack that is probed: the run's first untargeted PGD with cross-entropy.

    Where the run has none, it is a PGD of the norm and ε of the run's first attack.
    """
    for attack in spec.attacks:
        if attack.method == "pgd" and attack.targets is None and attack.pgd.loss == "ce":
            return attack
    first = spec.attacks[0].pgd
    pgd = first if spec.attacks[0].method == "pgd" else EVALUATION_PGD
    share = pgd.step_size / pgd.eps if pgd.eps else 0.25
    eps = first.eps or max(spec.epsilons, default=0.0)
    changes = {"norm": first.norm, "eps": eps, "step_size": share * eps, "loss": "ce"}
    return Attack(name="probe", pgd=pgd.model_copy(update=changes))


class Prober:
    """Probes several models with the same attack on the same images.

    Args:
        attack: from :func:`base_attack`.
        depth: ``quick`` or ``full``, a key of ``PROBED_IMAGES``; ``full`` adds Square.
        check_stop: called at every step of an attack; raises to end the probing.
    """

    def __init__(self, attack: Attack, depth: str, check_stop: Callable[[], None]) -> None:
        self._attack, self._full = attack, depth == "full"
        self._images = PROBED_IMAGES[depth]
        self._check_stop = check_stop
        self._first_model: tuple[str, Tensor] | None = None
        """Label and adversarial images, (M, 3, H, W), of the first model that was probed."""

    def probe(self, model: ModelUnderAttack) -> Probes:
        """Measure all figures of one model.

        The adversarial images of the first model are tried on all models after it.

        Raises:
            StopRequested: by ``check_stop``.
        """
        places = balanced_places(model.test.labels.cpu(), self._images)
        places = places.to(model.test.labels.device)
        probes = self._without_attack(model, places)
        correct = places[self._is_correct(model, places)]
        if len(correct) == 0 or self._attack.pgd.eps == 0:
            return probes
        return replace(probes, **self._under_attack(model, places, correct))

    # Figures that need no attack

    def _without_attack(self, model: ModelUnderAttack, places: Tensor) -> Probes:
        logits = model.logits[places]
        labels = model.test.labels[places]
        copy_logits: list[Tensor] = []
        second_logits: list[Tensor] = []
        lost = 0
        for batch in model.batches(places):
            self._check_stop()
            images = to_float(model.test.images[batch])
            second_logits.append(model.original_logits(images))
            copy_logits.append(model.copy_logits(images))
            lost += self._lost_gradients(model, images, model.test.labels[batch])
        largest = float(logits.abs().max()) or 1.0
        change = float((torch.cat(second_logits) - logits).abs().max())
        accuracy, copy_accuracy = (
            float((predictor.argmax(dim=1) == labels).float().mean())
            for predictor in (logits, torch.cat(copy_logits))
        )
        is_distribution = (logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() < 1e-2)
        return Probes(
            model=model.label,
            images=len(places),
            in_train_mode=model.modules_in_train_mode(),
            accuracy_gap=abs(accuracy - copy_accuracy),
            logit_change=_logit_change(change, largest, model.spec.eot),
            probabilities=float(is_distribution.float().mean()),
            lost_gradients=lost / len(places),
        )

    def _lost_gradients(self, model: ModelUnderAttack, images: Tensor, labels: Tensor) -> int:
        """The number of images whose input gradient is zero everywhere, or not finite."""
        with torch.enable_grad(), frozen(model.copy, "eval"), model.autocast():
            points = images.clone().requires_grad_()
            loss = objective(self._attack.pgd.loss, model.copy(points), labels, None)
            gradient = input_gradient(loss, points).flatten(1)
        lost = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
        return int(lost.sum())

    # Figures of the attack, and of weaker and stronger attacks

    def _under_attack(
        self, model: ModelUnderAttack, places: Tensor, correct: Tensor
    ) -> dict[str, Any]:
        """The fields of :class:`Probes` that need attacks.

        ``places``, int64 (M,), are the probed images; ``correct``, int64 (K,), those of them that
        the model classifies correctly when clean. Success is counted on these alone.
        """
        images, base = len(places), self._attack.pgd
        loss_increase = LossIncrease()
        points, fooled = self._attacked(model, correct, self._attack, loss_increase)
        robust = correct[~fooled]
        more = _changed(base, steps=(MORE_STEPS - 1) * base.steps, restarts=1)
        by_more_steps = self._fooled(model, robust, more, start=points[~fooled])
        by_margin = self._fooled(model, correct, _changed(base, loss="margin"))
        by_fgsm = self._fooled(model, correct, named_attack("fgsm", base).pgd)
        figures: dict[str, Any] = {
            "loss_increase": loss_increase.mean(),
            "more_steps": int(by_more_steps.sum()) / images,
            "noise": self._fooled_by_noise(model, correct) / images,
            "fgsm": int(by_fgsm.sum()) / images,
            "pgd": int(fooled.sum()) / images,
            "margin": (int(by_margin.sum()) - int(fooled.sum())) / images,
            **self._over_eps(model, places, correct, int((~fooled).sum())),
            **self._transferred(model, places, fooled),
        }
        if self._full:
            figures |= self._without_gradients(model, correct[~(fooled | by_margin)], images)
        return figures

    def _fooled(
        self, model: ModelUnderAttack, places: Tensor, pgd: PGD, start: Tensor | None = None
    ) -> Tensor:
        """bool (M,): whether untargeted PGD makes the model misclassify each image."""
        return self._attacked(model, places, Attack(name="probe", pgd=pgd), start=start)[1]

    def _attacked(
        self,
        model: ModelUnderAttack,
        places: Tensor,
        attack: Attack,
        loss_increase: LossIncrease | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Adversarial images, (M, 3, H, W), and whether the model misclassifies each, bool (M,).

        Args:
            model: the model to attack.
            places: int64 (M,).
            attack: the attack, at one ε.
            loss_increase: takes the losses of all steps.
            start: (M, 3, H, W), where the first restart begins.
        """
        starts = repeat(None) if start is None else model.batches(start)
        parts = [model.test.images.new_empty((0, *model.test.images.shape[1:])).float()]
        wrong = [torch.zeros(0, dtype=torch.bool, device=places.device)]
        for batch in model.batches(places):
            record = loss_increase.recorder(len(batch)) if loss_increase else None

            def on_step(step: Step, record: Callable[[Step], None] | None = record) -> None:
                self._check_stop()
                if record:
                    record(step)

            points, _ = model.craft(batch, attack, on_step, next(starts))
            parts.append(points)
            wrong.append(model.original_logits(points).argmax(dim=1) != model.test.labels[batch])
        return torch.cat(parts), torch.cat(wrong)

    def _fooled_by_noise(self, model: ModelUnderAttack, correct: Tensor) -> int:
        """The number of images that a uniformly random point of the ball fools."""
        fooled, pgd = 0, self._attack.pgd
        for batch in model.batches(correct):
            images = to_float(model.test.images[batch])
            indices = model.test.indices[batch].tolist()
            generators = image_generators(model.spec.seed, "noise", indices)
            points = GEOMETRIES[pgd.norm].random_start(images, pgd.eps, generators)
            predictions = model.original_logits(points).argmax(dim=1)
            fooled += int((predictions != model.test.labels[batch]).sum())
        return fooled

    def _over_eps(
        self, model: ModelUnderAttack, places: Tensor, correct: Tensor, robust_at_eps: int
    ) -> dict[str, Any]:
        """Robust accuracies at other ε; ``robust_at_eps``: robust images at the ε of the attack."""
        base = self._attack.pgd
        robust = {base.eps: robust_at_eps}
        for eps in (0.0, base.eps / 2, 2 * base.eps):
            # A ball of radius 0 holds one point: one step gives the same result as all steps.
            pgd = _at(base, eps) if eps else _changed(_at(base, eps), steps=1)
            robust[eps] = int((~self._fooled(model, correct, pgd)).sum())
        voted = model.spec.eot > 1
        pixels = math.prod(model.test.images.shape[1:])
        grey = GREY * {"linf": 1, "l2": math.sqrt(pixels), "l1": pixels}[base.norm]
        fooled = self._fooled(model, correct, _at(base, grey))
        by_eps = [robust[eps] for eps in sorted(robust)]
        increases = [larger - smaller for smaller, larger in pairwise(by_eps)]
        return {
            "rise_with_eps": max(increases) / len(places),
            "change_at_zero": None if voted else abs(robust[0.0] - len(correct)) / len(places),
            "robust_at_grey": int((~fooled).sum()) / len(places),
        }

    def _transferred(
        self, model: ModelUnderAttack, places: Tensor, fooled: Tensor
    ) -> dict[str, Any]:
        """The success of the first model's adversarial images; of the first model no figure."""
        if self._first_model is None:
            adversarial, _ = self._attacked(model, places, self._attack)
            self._first_model = (model.label, adversarial)
            return {}
        name, adversarial = self._first_model
        is_correct = self._is_correct(model, places)
        transferred = 0
        for rows in model.batches(is_correct.nonzero().flatten()):
            predictions = model.original_logits(adversarial[rows]).argmax(dim=1)
            transferred += int((predictions != model.test.labels[places[rows]]).sum())
        gain = (transferred - int(fooled.sum())) / len(places)
        return {"transfer": gain, "transfer_from": name}

    def _without_gradients(
        self, model: ModelUnderAttack, robust: Tensor, images: int
    ) -> dict[str, Any]:
        """Square, on the images that withstand cross-entropy, the margin loss and targeted APGD.

        Args:
            model: the model to attack.
            robust: int64 (K,), places of images that withstand the first two.
            images: the number of probed images.
        """
        if model.spec.eot > 1:
            return {"square_missing": "Square trusts single answers: it is not run with --eot"}
        try:
            authors_code()
        except UserError as error:
            return {"square_missing": str(error)}
        if model.logits.shape[1] >= 4:  # the targeted DLR loss needs 4
            apgd_targeted = named_attack("apgd-targeted", self._attack.pgd)
            _, fooled = self._attacked(model, robust, apgd_targeted)
            robust = robust[~fooled]
        by_square = 0
        for batch in model.batches(robust):
            by_square += model.square(batch, self._attack, self._check_stop)
        return {"square": by_square / images}

    def _is_correct(self, model: ModelUnderAttack, places: Tensor) -> Tensor:
        """bool (M,): whether the model classifies each clean image correctly."""
        is_correct: Tensor = model.logits[places].argmax(dim=1) == model.test.labels[places]
        return is_correct


def _logit_change(change: float, largest: float, passes: int) -> float | None:
    if passes > 1:
        return None
    return change / largest if math.isfinite(change) else math.inf


def _changed(pgd: PGD, **changes: object) -> PGD:
    return pgd.model_copy(update=changes)


def _at(pgd: PGD, eps: float) -> PGD:
    """The same attack at another ε; its step size keeps its share of ε."""
    return _changed(pgd, eps=eps, step_size=pgd.step_size / pgd.eps * eps)
