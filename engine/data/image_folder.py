"""A folder of class folders as a test split: pictures of any one size. Knows no model."""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import functional as transforms

from engine.data.pictures import Pictures
from engine.data.splits import balanced_places
from runs.datasets import class_folders
from runs.errors import NotFoundError, UserError

Progress = Callable[[int, int], None]
"""Called with pictures read and pictures in all."""


class _ClassFolders(ImageFolder):  # type: ignore[misc]
    """With the classes in the order of :func:`runs.datasets.class_folders`."""

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = class_folders(Path(directory))
        return names, {name: number for number, name in enumerate(names)}


def read_folder(
    folder: Path, *, resize: int | None, limit: int | None, progress: Progress
) -> tuple[Pictures, tuple[str, ...]]:
    """All pictures, or ``limit`` of them, equally many a class; and the names of the classes.

    Args:
        folder: a folder for each class, in the order of :func:`runs.datasets.class_folders`;
            one without pictures keeps its class's place.
        resize: brings the shorter side to this length and cuts the square centre out; none: the
            pictures are taken as they are.
        limit: read no more than these.
        progress: called for each picture that was read.

    Raises:
        NotFoundError: no folder, or no pictures in it.
        UserError: a damaged picture, or pictures of several sizes without ``resize``.
    """
    samples, classes = _listed(folder)
    labels = torch.tensor([label for _, label in samples])
    places = torch.arange(len(labels)) if limit is None else balanced_places(labels, limit)
    images: Tensor | None = None
    for n, place in enumerate(places.tolist()):
        path = samples[place][0]
        picture = _read(path, resize)
        if images is None:
            images = torch.empty((len(places), *picture.shape), dtype=torch.uint8)
        if picture.shape != images.shape[1:]:
            raise UserError(
                f"{path} has {_size(picture)} pixels, but the pictures before it have "
                f"{_size(images[0])}: bring all to one size with --resize"
            )
        images[n] = picture
        progress(n + 1, len(places))
    assert images is not None
    return Pictures(images, labels[places], places), classes


def picture_size(folder: Path, resize: int | None) -> tuple[int, int]:
    """Height and width, in pixels, of the folder's pictures, by its first one.

    Raises:
        NotFoundError, UserError: as :func:`read_folder`.
    """
    if resize is not None:
        return resize, resize
    samples, _ = _listed(folder)
    _, height, width = _read(samples[0][0], None).shape
    return height, width


def _listed(folder: Path) -> tuple[list[tuple[Path, int]], tuple[str, ...]]:
    """Pictures with their labels, in the order of the classes; and the names of the classes."""
    found = _ClassFolders(str(folder), allow_empty=True)
    if not found.samples:
        raise NotFoundError(f"there are no pictures in the class folders of {folder}")
    samples = [(Path(path), label) for path, label in found.samples]
    return sorted(samples, key=itemgetter(1)), tuple(found.classes)


def _read(path: Path, resize: int | None) -> Tensor:
    """uint8 (3, H, W), upright."""
    try:
        with Image.open(path) as stored:
            picture = ImageOps.exif_transpose(stored).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no picture that can be read: {error}") from None
    if resize is not None:
        picture = transforms.center_crop(transforms.resize(picture, [resize]), [resize, resize])
    pixels: Tensor = transforms.pil_to_tensor(picture)
    return pixels


def _size(picture: Tensor) -> str:
    return f"{picture.shape[-1]}×{picture.shape[-2]}"
