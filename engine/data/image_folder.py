"""A folder of class folders as a test split. All images must have one size, or be resized to one.

Knows nothing about models and training.
"""

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
"""Called with the number of images read and the number of all images."""


class _ClassFolders(ImageFolder):  # type: ignore[misc]
    """torchvision's ImageFolder with the class order of :func:`runs.datasets.class_folders`."""

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = class_folders(Path(directory))
        return names, {name: number for number, name in enumerate(names)}


def read_folder(
    folder: Path, *, resize: int | None, limit: int | None, progress: Progress
) -> tuple[Pictures, tuple[str, ...]]:
    """Read the images of a folder; return them and the names of the classes.

    Args:
        folder: holds a folder for each class, in the order of :func:`runs.datasets.class_folders`.
            A class folder without images keeps its place in that order.
        resize: pixels; the shorter side is scaled to this length, and the central square is cut
            out. None: images are read in their own size.
        limit: read at most so many images, balanced over the classes. None: read all.
        progress: called after each image.

    Raises:
        NotFoundError: no folder, or no images in it.
        UserError: a damaged image, or images of several sizes without ``resize``.
    """
    samples, classes = _samples(folder)
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
                f"{path} has {_size(picture)} pixels, but the images before it have "
                f"{_size(images[0])}: resize all images with --resize"
            )
        images[n] = picture
        progress(n + 1, len(places))
    assert images is not None
    return Pictures(images, labels[places], places), classes


def picture_size(folder: Path, resize: int | None) -> tuple[int, int]:
    """Height and width of the folder's images, in pixels: those of the first image.

    Raises:
        NotFoundError, UserError: as :func:`read_folder`.
    """
    if resize is not None:
        return resize, resize
    samples, _ = _samples(folder)
    _, height, width = _read(samples[0][0], None).shape
    return height, width


def _samples(folder: Path) -> tuple[list[tuple[Path, int]], tuple[str, ...]]:
    """Files with their labels, in the order of the classes; and the names of the classes."""
    listing = _ClassFolders(str(folder), allow_empty=True)
    if not listing.samples:
        raise NotFoundError(f"there are no images in the class folders of {folder}")
    samples = [(Path(path), label) for path, label in listing.samples]
    return sorted(samples, key=itemgetter(1)), tuple(listing.classes)


def _read(path: Path, resize: int | None) -> Tensor:
    """An image as uint8 (3, H, W), turned upright as its EXIF data say."""
    try:
        with Image.open(path) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} can't be read as an image: {error}; replace or remove it"
        ) from None
    if resize is not None:
        picture = transforms.center_crop(transforms.resize(picture, [resize]), [resize, resize])
    pixels: Tensor = transforms.pil_to_tensor(picture)
    return pixels


def _size(picture: Tensor) -> str:
    """``width×height``."""
    return f"{picture.shape[-1]}×{picture.shape[-2]}"
