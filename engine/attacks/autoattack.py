"""The standard AutoAttack (Croce & Hein 2020), by its authors' own code.

Here is only what lets it run inside an evaluation: stage by stage and batch by batch, so that its
four attacks have their bars and a stop is heard. The batches are those of its own
``run_standard_evaluation``, and so is the outcome, image by image.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.attacks.frozen_model import as_found
from runs.errors import UserError


def authors_code() -> Any:
    """The authors' class.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from pyautoattack import AutoAttack as Authors
    except ImportError:
        raise UserError("AutoAttack is not installed: pip install 'advtui[autoattack]'") from None
    return Authors


class AutoAttack:
    """The four attacks on one model.

    Args:
        model: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes).
        norm: ``linf`` or ``l2``.
        eps: budget, in pixels of [0, 1].
        seed: each stage of each batch begins from it.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(
        self, model: nn.Module, norm: str, eps: float, seed: int, device: torch.device
    ) -> None:
        self._model = model
        self._authors: Any = authors_code()(
            model,
            norm={"linf": "Linf", "l2": "L2"}[norm],
            eps=eps,
            seed=seed,
            version="standard",
            device=device,
        )

    def attack(
        self,
        stage: str,
        images: Tensor,
        labels: Tensor,
        on_query: Callable[[], object] = lambda: None,
    ) -> Tensor:
        """One of :data:`runs.attacks.AUTOATTACK_STAGES`, on images that are still robust.

        ``on_query`` is called before each pass through the model; what it raises ends the attack.
        """
        self._authors.attacks_to_run = [stage]
        with (
            _quiet(),
            _before_each_pass(self._model, on_query),
            as_found(self._model, "eval"),
            torch.random.fork_rng(devices=_devices(images)),
        ):
            adversarial, _ = self._authors.run_standard_evaluation(
                images.contiguous(),  # their code takes views of it
                labels,
                batch_size=len(images),
            )
        found: Tensor = adversarial.detach()
        return found


@contextmanager
def _before_each_pass(model: nn.Module, call: Callable[[], object]) -> Iterator[None]:
    def hook(_model: nn.Module, _arguments: Any) -> None:
        call()

    handle = model.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    """Its own progress lines stay out of the worker's log; warnings come through."""
    logger = logging.getLogger("auto-attack")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _devices(images: Tensor) -> list[int]:
    return [images.device.index or 0] if images.device.type == "cuda" else []
