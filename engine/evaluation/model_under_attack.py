"""One model under evaluation: its predictions on clean and on adversarial images.

The original is the network as it was loaded. Attacks use a copy of it, in the precision of the run
(AutoAttack alone uses the original); BatchNorm of our own ResNet-18 is folded away in the copy. All
counts come from the original, in fp32; with ``--eot`` from votes of its passes. Knows no file and
no table.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from engine.attacks.active_set import Step
from engine.attacks.autoattack import AutoAttack
from engine.attacks.batch_attack import attack_batch
from engine.attacks.expectation import ManyPasses
from engine.attacks.losses import fools
from engine.data.pictures import Pictures, to_float
from engine.evaluation.batch_size import room_for
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import PictureClassifier
from engine.process.run_context import RunContext
from engine.world import ALONE, World
from runs.attacks import AUTOATTACK_STAGES
from runs.spec import AttackSpec
from runs.threat_model import Attack


class ModelUnderAttack:
    """One model under evaluation. Call :meth:`classify_clean` before any other method.

    :meth:`craft` makes adversarial images, and counts nothing.

    Args:
        original: the network, in eval mode, on the device of ``test``.
        label: its name in the table.
        test: the N images to evaluate.
        spec: of the attack run.
        dtype: of autocast in attacks; None: attacks compute in fp32.
        context: the run, for its events and stop requests.
        world: the ranks that evaluate it together.
    """

    def __init__(
        self,
        original: PictureClassifier,
        label: str,
        test: Pictures,
        spec: AttackSpec,
        dtype: torch.dtype | None,
        context: RunContext,
        world: World = ALONE,
    ) -> None:
        self.original, self.label, self.test, self.spec = original, label, test, spec
        self.copy = Folded(original).network
        """The network that attacks use: the same function in eval mode, frozen."""
        self._counted: nn.Module = original
        self._attacked: nn.Module = self.copy
        if spec.eot > 1:
            self._counted = ManyPasses(original, spec.eot, spec.seed)
            self._attacked = ManyPasses(self.copy, spec.eot, spec.seed)
        self.logits = torch.empty(0)
        """float32 (N, classes), of the clean images."""
        self._dtype = dtype
        self.world = world
        self.context = context
        self.correct = torch.empty(0, dtype=torch.int64)
        """int64 (M,): the places of the images that are classified correctly when clean."""
        self._batch_size = spec.batch_size

    def classify_clean(self) -> int:
        """Classify the clean images; return the number of correct predictions."""
        self._fit_batch_size()
        parts = []
        for places in self.batches(torch.arange(len(self.test))):
            parts.append(self.original_logits(to_float(self.test.images[places])))
            self.context.stop.check()
        # Those of rank 0, since nodes of two kinds may round differently.
        self.logits = torch.cat(parts)
        if self.world.size > 1:
            self.logits = self.world.agreed(self.logits.cpu()).to(self.logits.device)
        self.correct = (self.logits.argmax(dim=1) == self.test.labels).nonzero().flatten()
        return len(self.correct)

    def _fit_batch_size(self) -> None:
        """Choose smaller batches where memory is short; results don't depend on the size."""
        with self.autocast():
            largest = to_float(self.test.images[: self.spec.batch_size])
            fitting, notice = room_for(self.copy, largest)
            self._batch_size = -self.world.highest(-fitting)
        if notice:
            self.context.events.write("log", level="warning", message=f"{self.label}: {notice}")

    def autoattack(self, attack: Attack) -> AutoAttack:
        """AutoAttack on the original, at the norm and ε of ``attack``."""
        pgd, device = attack.pgd, self.test.images.device
        return AutoAttack(self.original, pgd.norm, pgd.eps, self.spec.seed, device)

    def example(self, attack: Attack, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Adversarial images for the places ``chosen``, int64 (M,), with their logits and targets.

        Returns:
            Images, float32 (M, 3, H, W); logits of the original, float32 (M, classes); targets,
            int64 (M,), None in an untargeted attack.
        """
        adversarial, targets = self.craft(chosen, attack)
        return adversarial, self.original_logits(adversarial), targets

    def craft(
        self,
        places: Tensor,
        attack: Attack,
        on_step: Callable[[Step], object] | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Adversarial images for ``places``, int64 (M,), and their targets; it counts nothing.

        In bf16 an image leaves the attack at the first point that fools the model. Often this point
        is so close to the decision boundary that rounding decides (measured: 0.9 points of robust
        accuracy). An image whose success is not confirmed in fp32 is attacked again in fp32.

        Args:
            places: of the images in ``test``.
            attack: method, targets and settings of PGD, at one ε.
            on_step: called once for each point that the network has classified.
            start: float32 (M, 3, H, W), where the first restart begins; None: as ``attack`` says.

        Returns:
            Images, float32 (M, 3, H, W); targets, int64 (M,), None in an untargeted attack.
        """
        if attack.method == "autoattack":
            return self._by_autoattack(places, attack), None
        with self.autocast():
            adversarial, targets = self._craft_once(places, attack, on_step, start)
            if self._dtype is None:
                return adversarial, targets
            with torch.no_grad():
                fooled = fools(self._attacked(adversarial), self.test.labels[places], targets)
        confirmed = fools(self.original_logits(adversarial), self.test.labels[places], targets)
        doubtful = (fooled & ~confirmed).nonzero().flatten()
        if len(doubtful):
            start_points = None if start is None else start[doubtful]
            in_fp32, _ = self._craft_once(
                places[doubtful], attack, lambda _: self.context.stop.check(), start_points
            )
            adversarial = adversarial.index_copy(0, doubtful, in_fp32)
        return adversarial, targets

    def _craft_once(
        self,
        places: Tensor,
        attack: Attack,
        on_step: Callable[[Step], object] | None,
        start: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """:meth:`craft` without the second attack in fp32: :func:`attack_batch` on the copy."""
        if isinstance(self._attacked, ManyPasses):
            self._attacked.begin()
        return attack_batch(
            self._attacked,
            to_float(self.test.images[places]),
            self.test.labels[places],
            self.test.indices[places].tolist(),
            attack,
            logits=self.logits[places],
            seed=self.spec.seed,
            start=start,
            on_step=on_step,
        )

    def _by_autoattack(self, places: Tensor, attack: Attack) -> Tensor:
        """Adversarial images of AutoAttack; an image that withstands it stays clean."""
        autoattack = self.autoattack(attack)
        points, labels = to_float(self.test.images[places]), self.test.labels[places]
        robust = self.original_logits(points).argmax(dim=1) == labels
        for stage in AUTOATTACK_STAGES:
            if robust.any():
                points[robust] = autoattack.attack(stage, points[robust], labels[robust])
                robust = self.original_logits(points).argmax(dim=1) == labels
        return points

    def square(self, places: Tensor, attack: Attack, on_query: Callable[[], object]) -> int:
        """The number of images that Square alone fools, at the norm and ε of ``attack``.

        Raises:
            UserError: AutoAttack is not installed.
        """
        autoattack = self.autoattack(attack)
        images, labels = to_float(self.test.images[places]), self.test.labels[places]
        adversarial = autoattack.attack("square", images, labels, on_query)
        return int((self.original_logits(adversarial).argmax(dim=1) != labels).sum())

    def modules_in_train_mode(self) -> int:
        """The number of them, in the original and in the copy."""
        modules = (*self.original.modules(), *self.copy.modules())
        return sum(module.training for module in modules)

    @torch.no_grad()
    def original_logits(self, images: Tensor) -> Tensor:
        """Logits, float32 (M, classes), of the original: in fp32 for every attack."""
        logits: Tensor = self._counted(images)
        return logits

    @torch.no_grad()
    def copy_logits(self, images: Tensor) -> Tensor:
        """Logits, float32 (M, classes), of the copy, in the precision of the caller's context."""
        logits: Tensor = self._attacked(images)
        return logits

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which passes have the precision of this evaluation's attacks."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.test.images.device.type, dtype=self._dtype)

    def batches(self, places: Tensor) -> Iterator[Tensor]:
        """A tensor of first dimension M, such as places, in parts of the batch size."""
        places = places.to(self.test.images.device)
        return iter(torch.split(places, self._batch_size) if len(places) else ())
