"""Generated images beside the training split: read from a file, a share of each batch.

Gowal et al. (2021), *Improving Robustness using Generated Data*, and Wang et al. (2023), *Better
Diffusion Models Further Improve Adversarial Training*: a fixed share of each batch is generated,
drawn at random from a file that may be larger than memory. The module knows nothing about models.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engine.data.pictures import Pictures
from engine.seeding import generator
from runs.errors import UserError
from runs.jsonfiles import replacing
from runs.locks import FileLock

Progress = Callable[[int, int], None]
"""Called with the number of bytes unpacked and the number of all bytes."""
CHUNK = 4 << 20
"""Bytes that are unpacked at once."""


class GeneratedImages:
    """Images in a file, of which each batch takes some; the file stays on the disk.

    Args:
        folder: of :func:`unpacked`.
        first_index: the index of the first image: the others follow, behind those of the data set.
    """

    def __init__(self, folder: Path, first_index: int) -> None:
        self._images = np.load(folder / "image.npy", mmap_mode="r", allow_pickle=False)
        self._labels = np.load(folder / "label.npy", allow_pickle=False).astype(np.int64)
        self._first_index = first_index

    def __len__(self) -> int:
        return len(self._labels)

    def drawn(self, count: int, seed: int, epoch: int, number: int) -> Pictures:
        """``count`` images of a batch, on the CPU: a function of seed, epoch and batch number.

        They are drawn with replacement, so that a batch costs the same whatever the file holds.
        """
        rng = generator(seed, "generated images", epoch, number)
        places = torch.randint(len(self), (count,), generator=rng)
        images = torch.from_numpy(self._images[places.numpy()])
        return Pictures(
            images.permute(0, 3, 1, 2).contiguous(),
            torch.from_numpy(self._labels[places.numpy()]),
            places + self._first_index,
        )


def unpacked(file: Path, home: Path, progress: Progress) -> Path:
    """The folder of the home that holds the arrays of an npz, as files that can be mapped.

    A file is unpacked once; when it changes, again. Runs that start at the same time unpack it
    once: a lock makes the others wait. What a killed run left half written is not taken for whole.

    Raises:
        StorageError: the home can't hold the arrays; it says how much they need.
        UserError: the file is damaged.
    """
    try:
        return _unpacked(file, home, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{file} is damaged: {error}; fetch or write it again") from None


def _unpacked(file: Path, home: Path, progress: Progress) -> Path:
    status = file.stat()
    key = hashlib.sha256(f"{file} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]
    folder = home / "cache" / "generated" / key
    with FileLock(home / "locks" / f"generated-{key}.lock"), zipfile.ZipFile(file) as archive:
        members = [archive.getinfo(f"{name}.npy") for name in ("label", "image")]
        total, done = sum(member.file_size for member in members), 0
        for member in members:
            target = folder / member.filename
            if not (target.is_file() and target.stat().st_size == member.file_size):
                folder.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, replacing(target, member.file_size) as stream:
                    while chunk := source.read(CHUNK):
                        stream.write(chunk)
                        done += len(chunk)
                        progress(done, total)
    return folder
