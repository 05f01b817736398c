"""The LightningModule: thin. It joins a network, a recipe and a validation; the data set stays
outside, so that weight averaging may copy the module."""

import math
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import record_function

from engine.attacks.active_set import in_few_sizes
from engine.attacks.batch_attack import attack_batch
from engine.data.pictures import Batch
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import resnet18
from engine.seeding import generator
from engine.training.compiled_passes import TrainingPasses, forget_compiled, graphs_skipped
from engine.training.recipes import RECIPES, Setting, strength
from runs.attacks import named_attack
from runs.errors import UserError
from runs.spec import TrainSpec
from runs.threat_model import Attack

UNTRIED = 3
"""Steps that show whether it can be compiled: a CUDA graph is not recorded in the first."""


class Classifier(pl.LightningModule):
    """A ResNet-18 that is trained as its spec says.

    ``classes``, ``mean`` and ``std`` are what a checkpoint needs beside the spec to build the
    network again; ``steps`` are all optimiser steps of the training. ``compiling``: the passes of a
    training step are compiled, where that is possible.
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
    ) -> None:
        super().__init__()
        self.spec = spec
        # Not trainer.estimated_stepping_batches: asking for it sets the loader up before its
        # saved place is read, and a resumed epoch would begin with its first batch again.
        self._steps = steps
        self.classes = classes
        self.network = resnet18(classes, spec.width, mean, std, spec.activation)
        self.save_hyperparameters(
            {"classes": classes, "mean": mean, "std": std, "spec": spec.model_dump(mode="json")}
        )
        # Sums over the epoch of loss, accuracy and batches; kept by hand, because Lightning's own
        # means do not survive a resume in the middle of an epoch.
        self._totals = torch.zeros(3)
        self.latest = torch.zeros(3)
        """Loss, accuracy and 1 of the latest batch."""
        self._counts: dict[str, Tensor] = {}
        self._folded: list[Folded] = []  # in a list: no submodule, so no part of a checkpoint
        self._before: list[Tensor] = []
        self._compiled: TrainingPasses | None = None
        self._compiling = self._has_compiled = compiling
        self._untried = UNTRIED
        # By hand, because only so a step that ran out of memory can begin anew, in smaller parts.
        self.automatic_optimization = False
        self._parts = self._validation_parts = 1
        self.notices: list[str] = []
        """What a person should know and has not been told; whoever tells it empties the list."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels, _ = batch
        while (obstacle := self._descend(images, labels, batch_idx)) is not None:
            self.notices.append(obstacle)
            if self._has_compiled:
                forget_compiled(self.device)
        self._untried -= 1
        if self._untried == 0 and self._compiling and (skipped := graphs_skipped(self.device)):
            self.notices.append(skipped)
        scheduler: Any = self.lr_schedulers()
        scheduler.step()

    @property
    def settled(self) -> bool:
        """Whether the coming steps compile and choose kernels no more."""
        return self._untried <= 0 or not (self._compiling or self.device.type == "cuda")

    def _descend(self, images: Tensor, labels: Tensor, batch_idx: int) -> str | None:
        """One optimiser step; or what stood in its way: it is then to be tried again.

        What a failed pass has held is free only when this function has been left.
        """
        optimiser: Any = self.optimizers()
        noise = generator(
            self.spec.seed, "attack", self.current_epoch, batch_idx, device=self.device
        )
        share = strength(self.global_step, self._steps, self.spec.eps_warmup)
        seen = torch.zeros(3, device=self.device)
        self._keep_buffers()
        optimiser.zero_grad()
        try:
            passes = self._passes()
            setting = Setting(
                self.spec, self.classes, passes.attacked, noise, share, passes.ascend, passes.at
            )
            # AWP asks for the parameters by their names, and passes at others.
            network = self.network if self.spec.awp_gamma else passes.trained
            for part, answers in zip(
                images.chunk(self._parts), labels.chunk(self._parts), strict=True
            ):
                loss, logits = RECIPES[self.spec.recipe](network, part, answers, setting)
                weight = len(part) / len(images)
                self.manual_backward(loss * weight if weight < 1 else loss)
                with torch.no_grad():
                    accuracy = (logits.argmax(dim=1) == answers).float().mean()
                    seen += weight * torch.stack([loss, accuracy, torch.ones_like(accuracy)])
        except torch.OutOfMemoryError:
            self._undo()
            return self._halve(len(images))
        except Exception as error:
            if self._untried <= 0 or not self._compiling:
                raise
            self._undo()
            return self._give_up_compiling(error)
        if self.spec.clip_norm is not None:
            # Not Lightning's: it refuses a fused optimiser, for the sake of float16.
            nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip_norm)
        with record_function("optimiser"):
            optimiser.step()
        self.latest = seen
        self._totals = self._totals.to(self.device) + seen
        return None

    @torch.no_grad()
    def _keep_buffers(self) -> None:
        """For :meth:`_undo`."""
        buffers = list(self.network.buffers())
        if not self._before:
            self._before = [torch.empty_like(buffer) for buffer in buffers]
        if buffers:
            torch._foreach_copy_(self._before, buffers)

    @torch.no_grad()
    def _undo(self) -> None:
        """What a failed pass has done to BatchNorm's statistics."""
        for buffer, value in zip(self.network.buffers(), self._before, strict=True):
            buffer.copy_(value)

    def _halve(self, images: int) -> str:
        at_once = math.ceil(images / self._parts)
        self._parts *= 2
        if 2 * self._parts > images:
            raise UserError(f"out of memory, even with {at_once} images at a time")
        # Parts have another shape: they are compiled anew, and graphs of whole batches hold memory.
        self._compiled, self._untried = None, UNTRIED
        sees = "BatchNorm and AWP see" if self.spec.awp_gamma else "BatchNorm sees"
        return (
            f"out of memory: a batch of {images} images goes in {self._parts} parts, whose "
            f"gradients are accumulated; {sees} each part alone"
        )

    def _give_up_compiling(self, error: Exception) -> str:
        self._compiling = False
        self._compiled = None
        reason = (str(error).strip().splitlines() or [""])[0]
        return f"not compiled, and so slower: {type(error).__name__}: {reason}"[:300]

    def on_train_epoch_start(self) -> None:  # not called where an epoch is resumed
        self._totals = torch.zeros(3, device=self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["epoch_totals"] = self._totals.cpu()
        checkpoint["parts"] = self._parts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "parts" not in checkpoint:
            raise UserError(
                "its checkpoint is of an older advtui, which trained otherwise: begin anew"
            )
        self._totals = checkpoint["epoch_totals"]
        self._parts = checkpoint["parts"]

    def training_means(self) -> dict[str, float]:
        """Loss and accuracy on the batches of this epoch so far, as they were fed."""
        loss, accuracy, batches = self._totals.tolist()
        return {"train_loss": loss / batches, "train_accuracy": accuracy / batches}

    def _passes(self) -> TrainingPasses:
        """Those of a step; what its attacks look at has the present weights."""
        own = self.spec.attack.craft_mode == "train" or self.spec.mode == "baseline"
        passes = TrainingPasses(self.network, self.network if own else self._frozen())
        if not self._compiling:
            return passes
        if self._compiled is None:
            self._compiled = passes.compiled(self.device)
        return self._compiled

    def _frozen(self) -> nn.Module:
        """The network in eval mode at its present weights, without BatchNorm."""
        if not self._folded:
            self._folded.append(Folded(self.network))
        self._folded[0].refresh()
        return self._folded[0].network

    def on_validation_epoch_start(self) -> None:
        names = ("loss", "images", "correct", "fgsm", "robust")
        self._counts = {name: torch.zeros((), device=self.device) for name in names}
        self._frozen()
        # A validation's batches have a dozen sizes: kernels sought for each would cost more.
        self._seeks_kernels = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = False

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        while (counts := self._counted(*batch)) is None:
            self._validation_parts *= 2
            if self._validation_parts > len(batch[0]):
                raise UserError("out of memory, even with one image at a time")
            self.notices.append(
                f"out of memory: the validation looks at its batches in {self._validation_parts} "
                "parts"
            )
        for name, count in counts.items():
            self._counts[name] += count

    def _counted(self, *batch: Tensor) -> dict[str, Tensor] | None:
        """Sums over a batch, worked off in parts; None: memory ran out."""
        sums = {name: torch.zeros_like(count) for name, count in self._counts.items()}
        try:
            for part in zip(*(one.chunk(self._validation_parts) for one in batch), strict=True):
                for name, count in self._looked_at(*part).items():
                    sums[name] += count
        except torch.OutOfMemoryError:
            return None
        return sums

    def _looked_at(self, images: Tensor, labels: Tensor, indices: Tensor) -> dict[str, Any]:
        logits = self.network(images)
        right = logits.argmax(dim=1) == labels
        counts = {
            "loss": F.cross_entropy(logits.float(), labels, reduction="sum"),
            "images": len(labels),
            "correct": right.sum(),
        }
        # An image that is wrong when clean is not robust whatever an attack does.
        chosen = in_few_sizes(right, len(right))
        attack = Attack(name="validation", pgd=self.spec.validation)
        fgsm = named_attack("fgsm", self.spec.validation)  # tells catastrophic overfitting
        for name, one in (("robust", attack), ("fgsm", fgsm)) if len(chosen) else ():
            adversarial, _ = attack_batch(
                self._folded[0].network,
                images[chosen],
                labels[chosen],
                indices[chosen].tolist(),
                one,
                logits=logits[chosen],
                seed=self.spec.seed,
            )
            still = self.network(adversarial).argmax(dim=1) == labels[chosen]
            counts[name] = (still & right[chosen]).sum()
        return counts

    def on_validation_epoch_end(self) -> None:
        torch.backends.cudnn.benchmark = self._seeks_kernels
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
                # OneCycleLR divides by the length of the way up, warmup·steps − 1.
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
