"""Probes of one model: the figures that :mod:`engine.evaluation.sanity.checks` judges.

On a subset of the test images, with the attack of the run: does the attack see what is counted,
does it climb, has it arrived, and what do stronger, weaker and blind attacks find?
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
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
from engine.seeding import image_generators
from runs.attacks import named_attack
from runs.errors import UserError
from runs.spec import AttackSpec
from runs.threat_model import EVALUATION_PGD, PGD, Attack

IMAGES = {"quick": 50, "full": 1000}
"""Test images that are looked at, equally many a class."""
MORE_STEPS = 5
GREY = 0.5
"""The ε at which every picture can be made the same grey one, in pixels of [0, 1], for L∞."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Figures of one model on ``images`` test images; shares in [0, 1], None: not measured."""

    model: str
    images: int
    in_train_mode: int
    """Modules in train mode, of the model that counts and of the copy that is attacked."""
    path_gap: float
    """Difference between the clean accuracy and that of the copy that is attacked."""
    wobble: float
    """Largest difference of two answers to the same input, as a share of the largest logit."""
    distributions: float
    """Share of answers that sum to 1 without a negative one: probabilities, not logits."""
    lost_gradients: float
    """Share of images whose input gradient is zero everywhere, or no finite number."""
    climb: float | None = None
    """By how much the attack raises its own mean loss."""
    late: float | None = None
    """Share fooled by five times the steps only."""
    rise: float | None = None
    """Largest growth of robust accuracy with ε, over 0, ε/2, ε and 2ε."""
    at_zero: float | None = None
    """Difference between the clean accuracy and the robust accuracy at ε = 0."""
    at_grey: float | None = None
    """Robust accuracy at :data:`GREY`."""
    noise: float | None = None
    """Success of a random point of the ball; likewise FGSM's, and PGD's."""
    fgsm: float | None = None
    pgd: float | None = None
    margin: float | None = None
    """Robust accuracy under cross-entropy minus that under the margin loss."""
    square: float | None = None
    """Share fooled by Square (Andriushchenko et al. 2020), and by none of cross-entropy, margin
    and targeted APGD."""
    square_missing: str | None = None
    """Why Square was not run."""
    transfer: float | None = None
    """Success of the images crafted on ``transfer_from`` minus the white-box success."""
    transfer_from: str | None = None


def base_attack(spec: AttackSpec) -> Attack:
    """The untargeted PGD that is probed: the run's own, else one at its norm and largest ε."""
    for attack in spec.attacks:
        if attack.method == "pgd" and attack.targets is None and attack.pgd.loss == "ce":
            return attack
    own = spec.attacks[0].pgd
    pgd = own if spec.attacks[0].method == "pgd" else EVALUATION_PGD
    share = pgd.step_size / pgd.eps if pgd.eps else 0.25
    eps = own.eps or max(spec.epsilons, default=0.0)
    changes = {"norm": own.norm, "eps": eps, "step_size": share * eps, "loss": "ce"}
    return Attack(name="probe", pgd=pgd.model_copy(update=changes))


class Prober:
    """Probes one model after the other with the same attack on the same images."""

    def __init__(self, attack: Attack, depth: str, check_stop: Callable[[], None]) -> None:
        self._attack, self._full = attack, depth == "full"
        self._images = IMAGES[depth]
        self._check_stop = check_stop
        self._source: tuple[str, Tensor] | None = None

    def probe(self, attacker: ModelUnderAttack) -> Probes:
        """All figures of one model; the first one's adversarial images go on to the others."""
        places = balanced_places(attacker.test.labels.cpu(), self._images)
        places = places.to(attacker.test.labels.device)
        found = self._passive(attacker, places)
        right = places[self._is_right(attacker, places)]
        if len(right) == 0 or self._attack.pgd.eps == 0:
            return found
        return replace(found, **self._under_attack(attacker, places, right))

    # What needs no attack

    def _passive(self, attacker: ModelUnderAttack, places: Tensor) -> Probes:
        logits = attacker.logits[places]
        labels = attacker.test.labels[places]
        copies: list[Tensor] = []
        again: list[Tensor] = []
        lost = 0
        for cut in attacker.batches(places):
            self._check_stop()
            images = to_float(attacker.test.images[cut])
            again.append(attacker.logits_of(images))
            copies.append(attacker.copy_logits(images))
            lost += self._lost_gradients(attacker, images, attacker.test.labels[cut])
        largest = float(logits.abs().max()) or 1.0
        apart = float((torch.cat(again) - logits).abs().max())
        accuracy, copied = (
            float((answer.argmax(dim=1) == labels).float().mean())
            for answer in (logits, torch.cat(copies))
        )
        probable = (logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() < 1e-2)
        return Probes(
            model=attacker.label,
            images=len(places),
            in_train_mode=attacker.modules_in_train_mode(),
            path_gap=abs(accuracy - copied),
            wobble=apart / largest if math.isfinite(apart) else math.inf,
            distributions=float(probable.float().mean()),
            lost_gradients=lost / len(places),
        )

    def _lost_gradients(self, attacker: ModelUnderAttack, images: Tensor, labels: Tensor) -> int:
        with torch.enable_grad(), frozen(attacker.copy, "eval"), attacker.autocast():
            points = images.clone().requires_grad_()
            loss = objective(self._attack.pgd.loss, attacker.copy(points), labels, None)
            gradient = input_gradient(loss, points).flatten(1)
        lost = (gradient == 0).all(dim=1) | ~gradient.isfinite().all(dim=1)
        return int(lost.sum())

    # What the attack comes to, and others beside it

    def _under_attack(
        self, attacker: ModelUnderAttack, places: Tensor, right: Tensor
    ) -> dict[str, Any]:
        images, base = len(places), self._attack.pgd
        climb = _Climb()
        points, fooled = self._by(attacker, right, self._attack, climb)
        left = right[~fooled]
        more = _changed(base, steps=(MORE_STEPS - 1) * base.steps, restarts=1)
        late = self._fooled(attacker, left, more, start=points[~fooled])
        by_margin = self._fooled(attacker, right, _changed(base, loss="margin"))
        by_fgsm = self._fooled(attacker, right, named_attack("fgsm", base).pgd)
        found: dict[str, Any] = {
            "climb": climb.mean(),
            "late": int(late.sum()) / images,
            "noise": self._by_noise(attacker, right) / images,
            "fgsm": int(by_fgsm.sum()) / images,
            "pgd": int(fooled.sum()) / images,
            "margin": (int(by_margin.sum()) - int(fooled.sum())) / images,
            **self._over_eps(attacker, places, right, int((~fooled).sum())),
            **self._transferred(attacker, places, right, fooled),
        }
        if self._full:
            found |= self._beyond(attacker, right[~(fooled | by_margin)], images)
        return found

    def _fooled(
        self, attacker: ModelUnderAttack, places: Tensor, pgd: PGD, start: Tensor | None = None
    ) -> Tensor:
        """bool (M,): which images the model takes for a wrong class when attacked."""
        return self._by(attacker, places, Attack(name="probe", pgd=pgd), start=start)[1]

    def _by(
        self,
        attacker: ModelUnderAttack,
        places: Tensor,
        attack: Attack,
        climb: "_Climb | None" = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Adversarial images, and which of them the model takes for a wrong class."""
        size = attacker.spec.batch_size
        starts = iter(torch.split(start, size)) if start is not None and len(start) else None
        parts = [attacker.test.images.new_empty((0, *attacker.test.images.shape[1:])).float()]
        wrong = [torch.zeros(0, dtype=torch.bool, device=places.device)]
        for cut in attacker.batches(places):
            seen = climb.batch(len(cut)) if climb else None

            def note(step: Step, seen: "Callable[[Step], None] | None" = seen) -> None:
                self._check_stop()
                if seen:
                    seen(step)

            points, _ = attacker.craft(cut, attack, note, next(starts) if starts else None)
            parts.append(points)
            wrong.append(attacker.logits_of(points).argmax(dim=1) != attacker.test.labels[cut])
        return torch.cat(parts), torch.cat(wrong)

    def _by_noise(self, attacker: ModelUnderAttack, right: Tensor) -> int:
        """How many a uniformly random point of the ball fools."""
        fooled, pgd = 0, self._attack.pgd
        for cut in attacker.batches(right):
            images = to_float(attacker.test.images[cut])
            noise = image_generators(
                attacker.spec.seed, "noise", attacker.test.indices[cut].tolist()
            )
            points = GEOMETRIES[pgd.norm].random_start(images, pgd.eps, noise)
            answers = attacker.logits_of(points).argmax(dim=1)
            fooled += int((answers != attacker.test.labels[cut]).sum())
        return fooled

    def _over_eps(
        self, attacker: ModelUnderAttack, places: Tensor, right: Tensor, at_eps: int
    ) -> dict[str, Any]:
        base = self._attack.pgd
        robust = {base.eps: at_eps}
        for eps in (0.0, base.eps / 2, 2 * base.eps):
            # Nothing moves in a ball without extent: one step is as good as all.
            pgd = _at(base, eps) if eps else _changed(_at(base, eps), steps=1)
            robust[eps] = int((~self._fooled(attacker, right, pgd)).sum())
        pixels = math.prod(attacker.test.images.shape[1:])
        grey = GREY if base.norm == "linf" else GREY * math.sqrt(pixels)
        fooled = self._fooled(attacker, right, _at(base, grey))
        in_order = [robust[eps] for eps in sorted(robust)]
        steps = [after - before for before, after in pairwise(in_order)]
        return {
            "rise": max(steps) / len(places),
            "at_zero": abs(robust[0.0] - len(right)) / len(places),
            "at_grey": int((~fooled).sum()) / len(places),
        }

    def _transferred(
        self, attacker: ModelUnderAttack, places: Tensor, right: Tensor, fooled: Tensor
    ) -> dict[str, Any]:
        if self._source is None:
            crafted, _ = self._by(attacker, places, self._attack)
            self._source = (attacker.label, crafted)
            return {}
        name, crafted = self._source
        known = self._is_right(attacker, places)
        taken = 0
        for rows in torch.split(known.nonzero().flatten(), attacker.spec.batch_size):
            answers = attacker.logits_of(crafted[rows]).argmax(dim=1)
            taken += int((answers != attacker.test.labels[places[rows]]).sum())
        gain = (taken - int(fooled.sum())) / len(places)
        return {"transfer": gain, "transfer_from": name}

    def _beyond(self, attacker: ModelUnderAttack, left: Tensor, images: int) -> dict[str, Any]:
        """Square on what withstands cross-entropy, margin and targeted APGD."""
        try:
            authors_code()
        except UserError as error:
            return {"square_missing": str(error)}
        if attacker.logits.shape[1] >= 4:  # the targeted DLR loss wants as many
            _, fooled = self._by(attacker, left, named_attack("apgd-targeted", self._attack.pgd))
            left = left[~fooled]
        found = 0
        for cut in attacker.batches(left):
            found += attacker.square(cut, self._attack, self._check_stop)
        return {"square": found / images}

    def _is_right(self, attacker: ModelUnderAttack, places: Tensor) -> Tensor:
        right: Tensor = attacker.logits[places].argmax(dim=1) == attacker.test.labels[places]
        return right


class _Climb:
    """By how much an attack raises the loss of each image, from the first look to the last."""

    def __init__(self) -> None:
        self._first: list[Tensor] = []
        self._last: list[Tensor] = []

    def batch(self, images: int) -> Callable[[Step], None]:
        """What to tell of a batch's steps."""
        place = len(self._first)
        self._first.append(torch.zeros(images))
        self._last.append(torch.zeros(images))

        def see(step: Step) -> None:
            if step.restart == 0:
                where, loss = step.indices.cpu(), step.loss.float().cpu()
                if step.step == 0:
                    self._first[place][where] = loss
                self._last[place][where] = loss

        return see

    def mean(self) -> float:
        """Over all images."""
        return float((torch.cat(self._last) - torch.cat(self._first)).mean())


def _changed(pgd: PGD, **changes: object) -> PGD:
    return pgd.model_copy(update=changes)


def _at(pgd: PGD, eps: float) -> PGD:
    """The same attack at another ε, its step the same share of it."""
    return _changed(pgd, eps=eps, step_size=pgd.step_size / pgd.eps * eps)
