"""The LightningModule: thin. It joins a network, a recipe and a validation; the data set stays
outside, so that weight averaging may copy the module."""

from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attacks import attack_batch
from engine.folding import Folded
from engine.randomness import generator
from engine.recipes import RECIPES, Setting, strength
from engine.resnet import resnet18
from runs.attacks import named_attack
from runs.spec import Attack, TrainSpec

Batch = tuple[Tensor, Tensor, Tensor]
"""Images, float (N, 3, 32, 32) in [0, 1]; labels, int64 (N,); their places in the split."""


class Classifier(pl.LightningModule):
    """A ResNet-18 that is trained as its spec says.

    ``classes``, ``mean`` and ``std`` are what a checkpoint needs beside the spec to build the
    network again; ``steps`` are all optimiser steps of the training.
    """

    def __init__(
        self, spec: TrainSpec, classes: int, mean: list[float], std: list[float], *, steps: int
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

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels, _ = batch
        noise = generator(
            self.spec.seed, "attack", self.current_epoch, batch_idx, device=self.device
        )
        share = strength(self.global_step, self._steps, self.spec.eps_warmup)
        setting = Setting(self.spec, self.classes, self._attacked_in_training(), noise, share)
        loss, logits = RECIPES[self.spec.recipe](self.network, images, labels, setting)
        with torch.no_grad():
            accuracy = (logits.argmax(dim=1) == labels).float().mean()
            self.latest = torch.stack([loss.detach(), accuracy, torch.ones_like(accuracy)])
            self._totals = self._totals.to(self.device) + self.latest
        return loss

    def on_train_epoch_start(self) -> None:  # not called where an epoch is resumed
        self._totals = torch.zeros(3, device=self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["epoch_totals"] = self._totals.cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._totals = checkpoint["epoch_totals"]

    def training_means(self) -> dict[str, float]:
        """Loss and accuracy on the batches of this epoch so far, as they were fed."""
        loss, accuracy, batches = self._totals.tolist()
        return {"train_loss": loss / batches, "train_accuracy": accuracy / batches}

    def _attacked_in_training(self) -> nn.Module:
        if self.spec.attack.craft_mode == "train" or self.spec.mode == "baseline":
            return self.network
        return self._frozen()

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

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels, indices = batch
        logits = self.network(images)
        right = logits.argmax(dim=1) == labels
        self._counts["loss"] += F.cross_entropy(logits.float(), labels, reduction="sum")
        self._counts["images"] += len(labels)
        self._counts["correct"] += right.sum()
        # An image that is wrong when clean is not robust whatever an attack does.
        chosen = right.nonzero().flatten()
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
            self._counts[name] += still.sum()

    def on_validation_epoch_end(self) -> None:
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
        )
        steps = self._steps
        schedule: torch.optim.lr_scheduler.LRScheduler
        if spec.schedule == "onecycle":
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser,
                max_lr=spec.lr,
                total_steps=steps,
                pct_start=spec.warmup,
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
