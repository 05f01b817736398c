"""The data sets: their classes, their files, and a check that the files are complete.

A data set has a name, or is a folder of class folders, identified by its absolute path. This module
checks files and loads none; the engine loads them. The MD5 sums are those that torchvision checks
(``torchvision.datasets.CIFAR10`` and ``CIFAR100``).
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from runs.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Facts about a data set, known without opening its files."""

    name: str
    title: str
    classes: int
    train_images: int = 0
    test_images: int = 0
    mean: tuple[float, float, float] | None = None
    """Per channel, in pixels of [0, 1]; with ``std`` the usual normalisation."""
    std: tuple[float, float, float] | None = None
    folder: str | None = None
    """Its folder below the data folder; None: it comes with a package."""
    archive: str | None = None
    """The file in which it is published."""
    archive_md5: str = ""
    md5: tuple[tuple[str, str], ...] = ()
    """File name and MD5 sum of each file."""


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="cifar100",
            title="CIFAR-100",
            classes=100,
            train_images=50_000,
            test_images=10_000,
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
            md5=(
                ("train", "16019d7e3df5f24257cddd939b257f8d"),
                ("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
                ("meta", "7973b15100ade9c7d40fb424638fde48"),
            ),
        ),
        Dataset(
            name="cifar10",
            title="CIFAR-10",
            classes=10,
            train_images=50_000,
            test_images=10_000,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            folder="cifar-10-batches-py",
            archive="cifar-10-python.tar.gz",
            archive_md5="c58f30108f718f92721af3b95e74349a",
            md5=(
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                ("test_batch", "40351d587109b95175f43aff81a1287e"),
                ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
            ),
        ),
        Dataset(
            name="digits",
            title="digits (scikit-learn)",
            classes=10,
            train_images=1_437,
            test_images=360,
            mean=(0.305, 0.305, 0.305),
            std=(0.324, 0.324, 0.324),
        ),
    )
}


def dataset_name(text: object) -> object:
    """``cifar100`` for ``CIFAR100``, ``cifar-100`` and the like; any other value as it is."""
    if not isinstance(text, str):
        return text
    plain = text.lower().replace("-", "").replace("_", "").replace(" ", "")
    return plain if plain in DATASETS else text


ALTERNATIVES = "name a folder that holds it with --data-dir, or try --preset demo"


def dataset_of(data: str) -> Dataset:
    """The facts about a named data set, or about a folder of class folders.

    Raises:
        NotFoundError: the folder is absent or holds no class folders.
    """
    if data in DATASETS:
        return DATASETS[data]
    classes = len(class_folders(Path(data)))
    return Dataset(name=data, title=f"folder {Path(data).name}", classes=classes)


def class_folders(folder: Path) -> list[str]:
    """Names of a folder's class folders, in the order of the classes 0, 1, 2, …

    The order is by name; where all names are whole numbers, by number (10 comes after 9).

    Raises:
        NotFoundError: the folder is absent, or holds fewer than two folders.
    """
    try:
        with os.scandir(folder) as found:
            names = [e.name for e in found if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise NotFoundError(f"data folder {folder} can't be read: {error.strerror}") from None
    if len(names) < 2:
        raise NotFoundError(
            f"{folder} holds {len(names)} class folders; at least two are needed, one per class"
        )
    return sorted(names, key=int if all(map(_is_number, names)) else None)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def data_folder(home: Path, data_dir: str | None) -> Path:
    """The folder of the data sets: ``--data-dir``, else ``data`` in the home.

    ``--data-dir`` may also name the folder of a data set itself.
    """
    folder = Path(data_dir).expanduser() if data_dir else home / "data"
    own_folders = {dataset.folder for dataset in DATASETS.values()} - {None}
    if folder.name in own_folders and not (folder / folder.name).is_dir():
        return folder.parent
    return folder


def missing_files(name: str, folder: Path) -> list[str]:
    """Names of the data set's files that ``folder`` lacks."""
    dataset = DATASETS[name]
    return [file for file, _ in dataset.md5 if not (folder / str(dataset.folder) / file).is_file()]


def has_archive(name: str, folder: Path) -> bool:
    """Whether ``folder`` holds the official archive of the data set.

    Raises:
        NotFoundError: it is damaged, or can't be read.
    """
    dataset = DATASETS[name]
    path = folder / str(dataset.archive)
    if not path.is_file():
        return False
    _check_md5(path, dataset.archive_md5, dataset.title)
    return True


def _check_md5(path: Path, expected: str, title: str) -> None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
    except OSError as error:
        raise NotFoundError(f"{path} can't be read: {error.strerror}") from None
    if found != expected:
        raise NotFoundError(
            f"{path} is damaged or not the official file: its MD5 is {found}, expected "
            f"{expected}. Remove it and fetch {title} again, or {ALTERNATIVES}"
        )


def check_data(name: str, home: Path, data_dir: str | None) -> bool:
    """Whether the data set is complete.

    Without ``--data-dir`` it may be absent, and with it be packed in its archive (False): the
    worker fetches or unpacks it.

    Raises:
        NotFoundError: a folder that the user named lacks the data set, or a file is damaged.
    """
    dataset = dataset_of(name)
    if dataset.folder is None:
        return True
    folder = data_folder(home, data_dir)
    if data_dir is not None and not folder.is_dir():
        raise NotFoundError(f"data folder {data_dir} does not exist: {ALTERNATIVES}")
    missing = missing_files(name, folder)
    if missing and data_dir is not None and has_archive(name, folder):
        return False
    if missing and data_dir is not None:
        raise NotFoundError(
            f"{folder} does not hold {dataset.title}: {dataset.folder}/{missing[0]} is missing. "
            f"--data-dir names the folder above {dataset.folder}, or that of {dataset.archive}"
        )
    if missing:
        return False
    for file, expected in dataset.md5:
        _check_md5(folder / dataset.folder / file, expected, dataset.title)
    return True
