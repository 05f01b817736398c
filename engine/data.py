"""Data sets as uint8 tensors on the device: loading, splits, batches, augmentation.

Everything that fits is held at once: CIFAR is 150 MB. A batch is cut, cropped and flipped there
with a handful of tensor operations; no worker processes. Knows no model.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.randomness import generator
from runs.datasets import ALTERNATIVES, DATASETS, check_data, data_folder
from runs.errors import NotFoundError, UserError
from runs.locks import FileLock

CROP_PADDING = 4


@dataclass(frozen=True)
class Pictures:
    """One split: ``images`` uint8 (N, 3, 32, 32), ``labels`` int64 (N,), on one device.

    ``indices`` int64 (N,) are the images' places in the official split.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, chosen: Tensor) -> "Pictures":
        """The images at ``chosen``, int64 (M,)."""
        return Pictures(self.images[chosen], self.labels[chosen], self.indices[chosen])

    def to(self, device: torch.device) -> "Pictures":
        return Pictures(self.images.to(device), self.labels.to(device), self.indices.to(device))


@dataclass(frozen=True)
class DataSplits:
    """A data set: official training and test split, class names, and its normalisation."""

    train: Pictures
    test: Pictures
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: bool
    """Whether a mirrored picture keeps its label."""


Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


def ensure_data(name: str, home: Path, data_dir: str | None, progress: Progress) -> None:
    """Check the data set's files, and download them where they are absent.

    Raises:
        NotFoundError: damaged files, a folder without the data set, or no network.
    """
    if check_data(name, home, data_dir):
        return
    with FileLock(home / "locks" / f"download-{name}.lock"):  # runs started at once fetch once
        if not check_data(name, home, data_dir):
            _download(name, data_folder(home, data_dir), progress)


def load(name: str, home: Path, data_dir: str | None) -> DataSplits:
    """Read a data set that :func:`ensure_data` has found whole."""
    if name == "digits":
        return _digits()
    from torchvision.datasets import CIFAR10, CIFAR100

    source = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    folder = str(data_folder(home, data_dir))
    splits = []
    for train in (True, False):
        official = source(folder, train=train, download=False)
        images = torch.from_numpy(official.data).permute(0, 3, 1, 2).contiguous()
        splits.append(_pictures(images, torch.tensor(official.targets)))
    return DataSplits(splits[0], splits[1], tuple(official.classes), *_scale(name), flips=True)


def _scale(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    dataset = DATASETS[name]
    assert dataset.mean is not None
    assert dataset.std is not None
    return dataset.mean, dataset.std


def _pictures(images: Tensor, labels: Tensor) -> Pictures:
    return Pictures(images, labels.long(), torch.arange(len(labels)))


def _digits() -> DataSplits:
    """scikit-learn's 1,797 handwritten digits, 8×8 grey in 0–16, brought to 3×32×32.

    A fifth of each class is the test split, drawn once with a fixed seed.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    grey = torch.from_numpy(source.images).float()[:, None] / 16
    large = torch.nn.functional.interpolate(grey, (32, 32), mode="bilinear", align_corners=False)
    images = (large * 255).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    pictures = _pictures(images, torch.from_numpy(source.target))
    test, train = stratified(pictures.labels, 36, generator(0, "digits test split"))
    return DataSplits(
        _pictures(images[train], pictures.labels[train]),
        _pictures(images[test], pictures.labels[test]),
        tuple(str(digit) for digit in range(10)),
        *_scale("digits"),
        flips=False,
    )


def stratified(labels: Tensor, per_class: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two sets of places, each ascending: ``per_class`` of each class at random, and the rest.

    Raises:
        UserError: a class has no more images than are asked for.
    """
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero().flatten()
        if len(members) <= per_class:
            raise UserError(
                f"{per_class} images a class were asked for, but class {label} has only "
                f"{len(members)}, and some must be left"
            )
        chosen[members[torch.randperm(len(members), generator=rng)[:per_class]]] = True
    return chosen.nonzero().flatten(), (~chosen).nonzero().flatten()


def split_validation(
    train: Pictures, per_class: int, seed: int, limit: int | None = None
) -> tuple[Pictures, Pictures]:
    """The training split as (training, validation), stratified and seeded; test stays unseen."""
    held_out, rest = stratified(train.labels, per_class, generator(seed, "validation split"))
    training = train.subset(rest)
    return (training if limit is None else balanced(training, limit)), train.subset(held_out)


def balanced(pictures: Pictures, limit: int) -> Pictures:
    """``limit`` images, nearly equally many a class; :func:`balanced_places` says which."""
    if limit >= len(pictures):
        return pictures
    places = balanced_places(pictures.labels.cpu(), limit)
    return pictures.subset(places.to(pictures.labels.device))


def balanced_places(labels: Tensor, limit: int) -> Tensor:
    """The first ``limit`` places in class order 0, 1, …, 0, 1, …; ascending, int64 (limit,).

    ``labels`` int64 (N,); with no more than ``limit`` of them these are all places.
    """
    seen: dict[int, int] = {}
    turn = []
    for label in labels.tolist():
        turn.append(seen.get(label, 0))
        seen[label] = turn[-1] + 1
    order = np.lexsort((labels.numpy(), np.array(turn)))
    return torch.from_numpy(np.sort(order[:limit]))


def to_float(images: Tensor) -> Tensor:
    """uint8 pictures as float32 in [0, 1], channels last."""
    return images.float().div_(255).contiguous(memory_format=torch.channels_last)


def epoch_order(length: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the training split."""
    return torch.randperm(length, generator=generator(seed, "order", epoch))


def augment(images: Tensor, rng: torch.Generator, *, flips: bool) -> Tensor:
    """Random crop after reflect padding of 4 pixels, and a flip for half of the images.

    Padding is an index: row −1 is row 1, row 32 is row 30. uint8 (N, 3, H, W) in, same out.
    """
    count, _, height, width = images.shape
    shift = torch.randint(-CROP_PADDING, CROP_PADDING + 1, (2, count, 1), generator=rng)
    mirrored = torch.rand(count, 1, generator=rng) < 0.5
    rows = _reflect(torch.arange(height) + shift[0], height)
    columns = _reflect(torch.arange(width) + shift[1], width)
    if flips:
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = sent(rows, images.device), sent(columns, images.device)
    place = torch.arange(count, device=images.device).view(-1, 1, 1)
    cropped = images.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on ``device``; nothing waits for a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _reflect(places: Tensor, size: int) -> Tensor:
    places = places.abs()
    return (size - 1) - ((size - 1) - places).abs()


def _download(name: str, folder: Path, progress: Progress) -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = DATASETS[name]
    source = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    archive = folder / source.filename
    size = {"cifar10": 170_498_071, "cifar100": 169_001_437}[name]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _watching(archive, size, progress):
            source(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        raise NotFoundError(
            f"{dataset.title} is not in {folder} and could not be downloaded ({reason}): "
            f"is there a network? Otherwise {ALTERNATIVES}"
        ) from None
    finally:
        archive.unlink(missing_ok=True)  # the unpacked files stay; half an archive is no use


@contextmanager
def _watching(archive: Path, size: int, progress: Progress) -> Iterator[None]:
    """Report how far a growing file has come, twice a second."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            if archive.exists():
                progress(min(archive.stat().st_size, size), size)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
