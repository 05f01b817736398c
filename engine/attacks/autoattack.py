"""The standard AutoAttack (Croce & Hein 2020), run by its authors' own code.

This module only runs that code inside an evaluation: stage by stage and batch by batch, so that
each of the four attacks reports its progress and a requested stop takes effect. The batches and the
result for each image are those of the authors' ``run_standard_evaluation``. The module knows
nothing about data sets or runs.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.attacks.frozen_model import frozen
from runs.errors import UserError


def authors_code() -> Any:
    """The class ``AutoAttack`` of the package ``pyautoattack``.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from pyautoattack import AutoAttack as AuthorsAutoAttack
    except ImportError:
        raise UserError("AutoAttack is not installed: pip install 'advtui[autoattack]'") from None
    return AuthorsAutoAttack


class AutoAttack:
    """The four attacks on one model.

    Args:
        model: maps float images in [0, 1], (N, 3, H, W), to logits, (N, classes).
        norm: ``linf``, ``l2`` or ``l1``.
        eps: budget, in pixels of [0, 1].
        seed: random seed of each stage on each batch.
        device: the device of the model and the images.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(
        self, model: nn.Module, norm: str, eps: float, seed: int, device: torch.device
    ) -> None:
        self._model = model
        self._authors: Any = authors_code()(
            model,
            norm={"linf": "Linf", "l2": "L2", "l1": "L1"}[norm],
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
        """Run one stage on images that are still robust; return their adversarial images.

        Args:
            stage: one of :data:`runs.attacks.AUTOATTACK_STAGES`.
            images: (N, 3, H, W), floating point, in [0, 1].
            labels: (N,), int64.
            on_query: called before each forward pass of the model; an exception that it raises
                ends the attack.
        """
        self._authors.attacks_to_run = [stage]
        with (
            _quiet(),
            _before_each_pass(self._model, on_query),
            frozen(self._model, "eval"),
            torch.random.fork_rng(devices=_devices(images)),
        ):
            result, _ = self._authors.run_standard_evaluation(
                images.contiguous(),  # the authors' code takes views of the tensor
                labels,
                batch_size=len(images),
            )
        adversarial: Tensor = result.detach()
        return adversarial


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
    """Keep AutoAttack's progress lines out of the worker's log; warnings still appear in it."""
    logger = logging.getLogger("auto-attack")
    previous_level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(previous_level)


def _devices(images: Tensor) -> list[int]:
    """The GPU of the images; none on a CPU."""
    return [images.device.index or 0] if images.device.type == "cuda" else []
