"""The LightningModule: connects a network, a recipe and a validation.

It is thin: losses, attacks and passes are in modules of their own. It knows nothing about the data
set, so that weight averaging can copy the module, and nothing about runs and their files.
"""

import math
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import record_function

from engine.attacks.active_set import padded_places
from engine.attacks.batch_attack import attack_batch
from engine.data.pictures import Batch
from engine.models.batchnorm_folding import Folded
from engine.models.build import new_model
from engine.models.sync_batchnorm import synchronise
from engine.process.out_of_memory import is_out_of_memory
from engine.seeding import generator
from engine.training.compiled_passes import TrainingPasses, forget_compiled, graphs_skipped
from engine.training.recipes import RECIPES, Setting, strength
from engine.world import ALONE, World
from runs.attacks import named_attack
from runs.errors import UserError
from runs.spec import TrainSpec
from runs.threat_model import Attack

TRIAL_STEPS = 3
"""Training steps after which compiling counts as successful. The first step alone does not show it:
it records no CUDA graph."""
MEMORY_ADVICE = "train a narrower network (--width), or use a device with more free memory"


class Classifier(pl.LightningModule):
    """A network and its training.

    A checkpoint holds ``spec``, ``classes``, ``mean`` and ``std``, which rebuild the network.

    Args:
        spec: recipe, optimiser, attack and validation.
        classes: number of classes of the data set.
        mean: mean of each channel, in pixels of [0, 1].
        std: standard deviation of each channel, in pixels of [0, 1].
        steps: number of optimiser steps of the whole training.
        compiling: compile the passes of a training step, where that is possible.
        world: the processes that share each batch; BatchNorm sees the batches of all.
        device: that of this process.
        size: height and width of the images, in pixels.

    Raises:
        NotFoundError, UserError: as :func:`engine.models.build.new_model`.
    """

    def __init__(
        self,
        spec: TrainSpec,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        steps: int,
        compiling: bool = False,
        world: World = ALONE,
        device: torch.device | None = None,
        size: tuple[int, int] = (32, 32),
    ) -> None:
        super().__init__()
        self.spec = spec
        self._world = world
        # Not trainer.estimated_stepping_batches: reading it sets up the loader before the loader's
        # saved position is restored, and a resumed epoch would begin with its first batch again.
        self._steps = steps
        self.classes = classes
        self.network = new_model(spec, classes, mean, std, size)
        if world.size > 1:
            synchronise(self.network, device or torch.device("cpu"))
        self.save_hyperparameters(
            {"classes": classes, "mean": mean, "std": std, "spec": spec.model_dump(mode="json")}
        )
        # Sums of loss, accuracy and number of batches over the epoch. Not Lightning's means: they
        # do not survive a resume in the middle of an epoch.
        self._totals = torch.zeros(3)
        self._finite = torch.zeros(())
        """Number of batches of the epoch before the first whose loss is not finite."""
        self.latest = torch.zeros(3)
        """Loss and accuracy of the latest batch, and the number 1."""
        self._counts: dict[str, Tensor] = {}
        self._folded: list[Folded] = []  # in a list, so that it is no part of a checkpoint
        self._saved_buffers: list[tuple[Tensor, Tensor]] = []
        """Each buffer of the network, with its saved copy; empty before the first step."""
        self._compiled: TrainingPasses | None = None
        self._compiling = self._has_compiled = compiling
        self._trial_steps = TRIAL_STEPS  # that are left
        # Manual, so that a step that ran out of memory can start again in smaller parts.
        self.automatic_optimization = False
        self._parts = self._validation_parts = 1
        self.notices: list[str] = []
        """Sentences for the user that are not reported yet. Reporting them empties the list."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels, _ = batch
        while (failure := self._optimiser_step(images, labels, batch_idx)) is not None:
            self.notices.append(failure)
            if self._has_compiled:
                forget_compiled(self.device)
        self._trial_steps -= 1
        if self._trial_steps == 0 and self._compiling and (skipped := graphs_skipped(self.device)):
            self.notices.append(skipped)
        scheduler: Any = self.lr_schedulers()
        scheduler.step()

    @property
    def settled(self) -> bool:
        """Whether the coming steps neither compile nor choose kernels."""
        return self._trial_steps <= 0 or not (self._compiling or self.device.type == "cuda")

    def _optimiser_step(self, images: Tensor, labels: Tensor, batch_idx: int) -> str | None:
        """One optimiser step. None, or why it failed, as a sentence: the caller then tries again.

        The memory of a failed pass is free only after this function has returned.
        """
        optimiser: Any = self.optimizers()
        attack_generator = generator(
            self.spec.seed, "attack", self.current_epoch, batch_idx, device=self.device
        )
        share = strength(self.global_step, self._steps, self.spec.eps_warmup)
        totals = torch.zeros(3, device=self.device)
        self._save_buffers()
        optimiser.zero_grad()
        failure: Exception | None = None
        try:
            passes = self._passes()
            setting = Setting(
                self.spec,
                self.classes,
                passes.attacked,
                attack_generator,
                share,
                passes.gradient_step,
                passes.forward_with,
                self._world,
            )
            # AWP needs the parameters by name, and forward passes with other weights.
            network = self.network if self.spec.awp_gamma else passes.trained
            for part, part_labels in zip(
                images.chunk(self._parts), labels.chunk(self._parts), strict=True
            ):
                loss, logits = RECIPES[self.spec.recipe](network, part, part_labels, setting)
                weight = len(part) / len(images)
                self.manual_backward(loss * weight if weight < 1 else loss)
                with torch.no_grad():
                    accuracy = (logits.argmax(dim=1) == part_labels).float().mean()
                    totals += weight * torch.stack([loss, accuracy, torch.ones_like(accuracy)])
        except Exception as error:
            can_try_again = self._compiling and self._trial_steps > 0
            if not is_out_of_memory(error) and not can_try_again:
                raise
            failure = error
        # All ranks try again where one has failed, and in the same way.
        match self._world.highest(_severity(failure)):
            case 2:
                self._restore_buffers()
                return self._split_further(len(images))
            case 1:
                self._restore_buffers()
                return self._give_up_compiling(failure)
        self._world.average(parameter.grad for parameter in self.network.parameters())
        totals = self._world.add_up(totals) / self._world.size
        if self.spec.clip_norm is not None:
            # Not Lightning's clipping: it refuses a fused optimiser, because of float16.
            nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip_norm)
        with record_function("optimiser"):
            optimiser.step()
        self.latest = totals
        self._totals = self._totals.to(self.device) + totals
        self._finite = self._finite.to(self.device) + self._totals[0].isfinite()
        return None

    @torch.no_grad()
    def _save_buffers(self) -> None:
        """Copy BatchNorm's statistics, for :meth:`_restore_buffers`."""
        if not self._saved_buffers:
            self._saved_buffers = [(one, torch.empty_like(one)) for one in self.network.buffers()]
        if self._saved_buffers:
            buffers, copies = zip(*self._saved_buffers, strict=True)
            torch._foreach_copy_(copies, buffers)

    @torch.no_grad()
    def _restore_buffers(self) -> None:
        """Undo the changes of a failed pass to BatchNorm's statistics."""
        for buffer, value in self._saved_buffers:
            buffer.copy_(value)

    def _split_further(self, images: int) -> str:
        at_once = math.ceil(images / self._parts)
        self._parts *= 2
        if 2 * self._parts > images:
            raise UserError(f"out of memory, even with {at_once} images at a time: {MEMORY_ADVICE}")
        # Parts have another shape and are compiled again; graphs of whole batches hold memory.
        self._compiled, self._trial_steps = None, TRIAL_STEPS
        sees = "BatchNorm and AWP see" if self.spec.awp_gamma else "BatchNorm sees"
        return (
            f"out of memory: a batch of {images} images is split into {self._parts} parts, whose "
            f"gradients are accumulated; {sees} each part alone"
        )

    def _give_up_compiling(self, error: Exception | None) -> str:
        self._compiling = False
        self._compiled = None
        if error is None:
            return "not compiled, so steps are slower: it failed on another rank"
        reason = (str(error).strip().splitlines() or [""])[0]
        return f"not compiled, so steps are slower: {type(error).__name__}: {reason}"[:300]

    def on_train_epoch_start(self) -> None:  # not called where an epoch is resumed
        self._totals = torch.zeros(3, device=self.device)
        self._finite = torch.zeros((), device=self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["epoch_totals"] = self._totals.cpu()
        checkpoint["parts"] = self._parts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "parts" not in checkpoint:
            raise UserError(
                "the checkpoint is from an older advtui with another training procedure and can't "
                "be resumed: start a new run"
            )
        self._totals = checkpoint["epoch_totals"]
        self._finite = self._totals[2].clone()  # a checkpoint is saved of finite losses alone
        self._parts = checkpoint["parts"]

    def training_means(self) -> dict[str, float]:
        """Means of loss and accuracy over this epoch so far, on the images that it trained on.

        These are augmented and, in an adversarial training, attacked.
        """
        loss, accuracy, batches = self._totals.tolist()
        return {"train_loss": loss / batches, "train_accuracy": accuracy / batches}

    def batches_without_loss(self) -> int:
        """Number of batches of this epoch since the first whose loss is not finite, with it."""
        return int(self._totals[2] - self._finite)

    def _passes(self) -> TrainingPasses:
        """The passes of a training step; the attacked network has the present weights."""
        unfrozen = self.spec.attack.craft_mode == "train" or self.spec.mode == "baseline"
        passes = TrainingPasses(self.network, self.network if unfrozen else self._frozen())
        if not self._compiling:
            return passes
        if self._compiled is None:
            self._compiled = passes.compiled(self.device)
            if self._world.size > 1:  # BatchNorm's exchanges can't be compiled; attacks have none
                self._compiled = replace(
                    self._compiled, trained=passes.trained, forward_with=passes.forward_with
                )
        return self._compiled

    def _frozen(self) -> nn.Module:
        """A copy of the network in eval mode with its present weights, without BatchNorm."""
        if not self._folded:
            self._folded.append(Folded(self.network))
        self._folded[0].refresh()
        return self._folded[0].network

    def on_validation_epoch_start(self) -> None:
        names = ("loss", "images", "correct", "fgsm", "robust")
        self._counts = {name: torch.zeros((), device=self.device) for name in names}
        self._frozen()
        # The batches of a validation have a dozen sizes. Choosing kernels for each of them takes
        # longer than the chosen kernels save.
        self._cudnn_benchmark = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = False

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        while (counts := self._batch_counts(*batch)) is None:
            self._validation_parts *= 2
            if self._validation_parts > len(batch[0]):
                raise UserError(f"out of memory, even with one image at a time: {MEMORY_ADVICE}")
            self.notices.append(
                f"out of memory: the validation splits its batches into {self._validation_parts} "
                "parts"
            )
        for name, count in counts.items():
            self._counts[name] += count

    def _batch_counts(self, *batch: Tensor) -> dict[str, Tensor] | None:
        """Sums over a batch, computed in parts; None: out of memory."""
        sums = {name: torch.zeros_like(count) for name, count in self._counts.items()}
        try:
            for part in zip(
                *(tensor.chunk(self._validation_parts) for tensor in batch), strict=True
            ):
                for name, count in self._part_counts(*part).items():
                    sums[name] += count
        except Exception as error:
            if is_out_of_memory(error):
                return None
            raise
        return sums

    def _part_counts(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Any]:
        """Summed loss, and numbers of images: all, correct, and correct under each attack."""
        if len(images) == 0:  # this rank has none of the last batch
            return {}
        logits = self.network(images)
        correct = logits.argmax(dim=1) == labels
        counts = {
            "loss": F.cross_entropy(logits.float(), labels, reduction="sum"),
            "images": len(labels),
            "correct": correct.sum(),
        }
        # An image that is classified wrongly when clean is not robust: it is not attacked.
        attacked = padded_places(correct, len(correct))
        pgd = Attack(name="validation", pgd=self.spec.validation)
        fgsm = named_attack("fgsm", self.spec.validation)  # detects catastrophic overfitting
        for name, attack in (("robust", pgd), ("fgsm", fgsm)) if len(attacked) else ():
            adversarial, _ = attack_batch(
                self._folded[0].network,
                images[attacked],
                labels[attacked],
                indices[attacked].tolist(),
                attack,
                logits=logits[attacked],
                seed=self.spec.seed,
            )
            still_correct = self.network(adversarial).argmax(dim=1) == labels[attacked]
            counts[name] = (still_correct & correct[attacked]).sum()
        return counts

    def on_validation_epoch_end(self) -> None:
        torch.backends.cudnn.benchmark = self._cudnn_benchmark
        together = self._world.add_up(torch.stack([c.double() for c in self._counts.values()]))
        self._counts = dict(zip(self._counts, together.float(), strict=True))
        images = self._counts["images"]
        self.log("val_loss", self._counts["loss"] / images)
        self.log("val_accuracy", self._counts["correct"] / images)
        self.log("val_fgsm_accuracy", self._counts["fgsm"] / images)
        self.log("val_robust_accuracy", self._counts["robust"] / images)

    def configure_optimizers(self) -> Any:
        spec = self.spec
        optimiser = torch.optim.SGD(
            self.parameters(),
            lr=spec.lr,
            momentum=spec.momentum,
            weight_decay=spec.weight_decay,
            nesterov=spec.momentum > 0,
            fused=self.device.type == "cuda" or None,
        )
        steps = self._steps
        schedule: torch.optim.lr_scheduler.LRScheduler
        if spec.schedule == "onecycle":
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser,
                max_lr=spec.lr,
                total_steps=steps,
                # OneCycleLR divides by the length of the warm-up, warmup·steps − 1.
                pct_start=spec.warmup * (0.999 if spec.warmup * steps == 1 else 1),
                anneal_strategy="linear",
                cycle_momentum=False,
                final_div_factor=1000,
            )
        else:
            schedule = torch.optim.lr_scheduler.MultiStepLR(
                optimiser, milestones=[steps // 2, steps * 3 // 4]
            )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _severity(failure: Exception | None) -> int:
    """2: out of memory; 1: compiling has failed; 0: the step is done."""
    if failure is None:
        return 0
    return 2 if is_out_of_memory(failure) else 1
