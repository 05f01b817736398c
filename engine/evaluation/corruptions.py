"""Accuracy of one model on corrupted test images, of CIFAR-10-C or CIFAR-100-C.

Of each file only the evaluated test images are read, from a memory map. Knows no attack.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.pictures import Pictures, to_float
from engine.evaluation.attack_progress import REPORT_EVERY_S
from engine.evaluation.model_under_attack import ModelUnderAttack
from runs.corruptions import LABELS, NAMES, SEVERITIES, corruption_figures, read_labels
from runs.datasets import DATASETS
from runs.errors import UserError
from runs.result_types import Corruptions


def compare_labels(folder: Path, test: Pictures, data: str) -> None:
    """Refuse a folder whose labels are not those of the test split.

    Args:
        folder: of :func:`runs.corruptions.check_corruptions`.
        test: images of the test split, all or some of them.
        data: name of the data set.

    Raises:
        UserError: a label differs.
    """
    labels = read_labels(folder / LABELS)[0][test.indices.numpy(force=True)]
    differing = int((labels != test.labels.numpy(force=True)).sum())
    if differing:
        raise UserError(
            f"{differing} of {len(labels)} labels of {folder / LABELS} differ from those of the "
            f"test split of {DATASETS[data].title}: the folder belongs to another data set"
        )


def corrupted_accuracy(
    model: ModelUnderAttack, folder: Path, finished: Mapping[str, list[int]]
) -> Corruptions:
    """Accuracy on each corruption at each severity, over the test images of the model.

    Several ranks share the batches. After each corruption rank 0 writes an event with its counts.

    Args:
        model: whose test images say which images of each file count.
        folder: with a file for each corruption.
        finished: counts of an earlier attempt, by corruption.

    Raises:
        StopRequested: a stop was requested; a resumed run goes on at the corruption at work.
    """
    n = len(model.test)
    correct = {name: finished[name] for name in NAMES if name in finished}
    progress = _Progress(model, len(NAMES) * SEVERITIES * n, len(correct) * SEVERITIES * n)
    for name in NAMES:
        if name not in correct:
            correct[name] = _count(model, folder / f"{name}.npy", progress)
            model.context.events.write(
                "corruption", model=model.label, corruption=name, n=n, correct=correct[name]
            )
    progress.report()
    return corruption_figures(correct, n)


def _count(model: ModelUnderAttack, file: Path, progress: "_Progress") -> list[int]:
    """The numbers of images of one corruption that are classified correctly, by severity."""
    images = np.load(file, mmap_mode="r", allow_pickle=False)
    n, whole = len(model.test), len(images) // SEVERITIES
    counts = torch.zeros(SEVERITIES, dtype=torch.int64)
    for number, batch in enumerate(model.batches(torch.arange(SEVERITIES * n))):
        if number % model.world.size == model.world.rank:
            model.context.stop.check()
            severities, places = (batch // n).cpu(), batch % n
            rows = severities * whole + model.test.indices[places].cpu()
            is_right = _predicted(model, images[rows.numpy()]) == model.test.labels[places]
            counts += torch.bincount(severities[is_right.cpu()], minlength=SEVERITIES)
        progress.add(len(batch))
    shares = model.world.gathered(counts.tolist())
    return [sum(share) for share in zip(*shares, strict=True)]


def _predicted(
    model: ModelUnderAttack, images: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
) -> Tensor:
    """Predictions, int64 (M,), on images, uint8 (M, H, W, 3)."""
    pictures = torch.from_numpy(images).to(model.test.images.device).permute(0, 3, 1, 2)
    return model.original_logits(to_float(pictures)).argmax(dim=1)


class _Progress:
    """``progress`` events of the images of all corruptions, twice a second and at the end."""

    def __init__(self, model: ModelUnderAttack, total: int, done: int) -> None:
        self._events, self._total = model.context.events, total
        self._done, self._new = done, 0
        self._began = self._reported_at = time.monotonic()

    def add(self, images: int) -> None:
        """Count a batch that is done."""
        self._done, self._new = self._done + images, self._new + images
        if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self.report()

    def report(self) -> None:
        """Write an event now."""
        self._reported_at = time.monotonic()
        rate = self._new / max(self._reported_at - self._began, 1e-9)
        left = (self._total - self._done) / rate if rate else None
        self._events.write(
            "progress",
            task="corruptions",
            done=self._done,
            total=self._total,
            unit="images",
            rate=rate,
            eta_s=None if left is None else round(left, 1),
        )
