"""The named data sets: download, check, and load them as uint8 tensors.

Knows nothing about models and folders of a user's own images.
"""

import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.data.pictures import Pictures
from engine.data.splits import stratified
from engine.seeding import generator
from runs.datasets import ALTERNATIVES, DATASETS, check_data, data_folder, has_archive
from runs.errors import NotFoundError
from runs.locks import FileLock
from runs.storage import storage_error


@dataclass(frozen=True)
class DataSplits:
    """A data set: official training and test split, class names, and normalisation."""

    train: Pictures
    test: Pictures
    classes: tuple[str, ...]
    """Names of the classes, in the order of the labels."""
    mean: tuple[float, ...]
    """Mean of each channel, in pixels of [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel, in pixels of [0, 1]."""
    flips: bool
    """Whether a mirrored image keeps its label."""


Progress = Callable[[int, int], None]
"""Called with the number of bytes downloaded and the number of all bytes."""


def ensure_data(name: str, home: Path, data_dir: str | None, progress: Progress) -> None:
    """Check the data set's files; unpack them from their archive, or download them, if absent.

    Runs that start at the same time download once: a lock in ``home`` makes the others wait.

    Raises:
        NotFoundError: damaged files, a folder without the data set, or no network.
    """
    if check_data(name, home, data_dir):
        return
    with FileLock(home / "locks" / f"download-{name}.lock"):
        if not check_data(name, home, data_dir):
            folder = data_folder(home, data_dir)
            if has_archive(name, folder):
                _unpack(name, folder)
            else:
                _download(name, folder, progress)


def load(name: str, home: Path, data_dir: str | None) -> DataSplits:
    """Read a data set whose files :func:`ensure_data` has checked."""
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
    return DataSplits(
        splits[0], splits[1], tuple(official.classes), *_normalisation(name), flips=True
    )


def _normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    dataset = DATASETS[name]
    assert dataset.mean is not None
    assert dataset.std is not None
    return dataset.mean, dataset.std


def _pictures(images: Tensor, labels: Tensor) -> Pictures:
    return Pictures(images, labels.long(), torch.arange(len(labels)))


def _digits() -> DataSplits:
    """scikit-learn's 1,797 handwritten digits, 8×8 grey in 0–16, resized to 3×32×32.

    The test split is 36 images of each class, a fifth, drawn with a fixed seed.
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
        *_normalisation("digits"),
        flips=False,
    )


def _unpack(name: str, folder: Path) -> None:
    """Unpack the official archive beside itself; it stays."""
    dataset = DATASETS[name]
    try:
        with tarfile.open(folder / str(dataset.archive)) as archive:
            archive.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise NotFoundError(f"{dataset.title} can't be unpacked in {folder}: {error}") from None


def _download(name: str, folder: Path, progress: Progress) -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = DATASETS[name]
    source = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    archive = folder / source.filename
    size = {"cifar10": 170_498_071, "cifar100": 169_001_437}[name]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _reporting_size(archive, size, progress):
            source(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        if (refused := storage_error(error, folder)) is not None:
            raise refused from error
        reason = str(error) or type(error).__name__
        raise NotFoundError(
            f"{dataset.title} is not in {folder} and could not be downloaded ({reason}): "
            f"check the network connection, or {ALTERNATIVES}"
        ) from None
    finally:
        archive.unlink(missing_ok=True)  # the unpacked files stay; a partial archive is useless


@contextmanager
def _reporting_size(archive: Path, size: int, progress: Progress) -> Iterator[None]:
    """Report the size of a growing file, twice a second; ``size`` is its size in the end."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(0.5):
            if archive.exists():
                progress(min(archive.stat().st_size, size), size)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
