"""Warns of catastrophic overfitting in the epoch in which it happens.

It changes nothing in the training, and knows nothing about models and recipes.
"""

from typing import Any

import pytorch_lightning as pl

from engine.training.overfitting import collapses
from runs.events import EventWriter


class OverfittingWatch(pl.Callback):
    """Writes one warning when an adversarial training overfits catastrophically.

    The rule is that of the sanity panel, :func:`engine.training.overfitting.collapses`. The class
    name is part of every checkpoint.
    """

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._pgd: list[float] = []
        self._fgsm: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        had_collapsed = bool(collapses(self._pgd, self._fgsm))
        self._pgd.append(float(trainer.callback_metrics["val_robust_accuracy"]))
        self._fgsm.append(float(trainer.callback_metrics["val_fgsm_accuracy"]))
        if had_collapsed or not collapses(self._pgd, self._fgsm):
            return
        message = (
            f"catastrophic overfitting in epoch {trainer.current_epoch + 1}: robust accuracy under "
            f"PGD fell from {max(self._pgd):.1%} to {self._pgd[-1]:.1%}, while the accuracy under "
            f"FGSM is {self._fgsm[-1]:.1%}; the checkpoint best_robust holds an earlier epoch"
        )
        self._events.write("log", level="warning", message=message)

    def state_dict(self) -> dict[str, Any]:
        return {"pgd": self._pgd, "fgsm": self._fgsm}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pgd, self._fgsm = list(state_dict["pgd"]), list(state_dict["fgsm"])
