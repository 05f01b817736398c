"""Files of generated images, as they are published beside papers: an npz of two arrays.

``image`` is uint8 (M, H, W, 3), ``label`` whole numbers (M,), as in the files of Gowal et al.
(2021) and Wang et al. (2023). The module checks a file without reading its images; the engine reads
them.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.datasets import DATASETS
from runs.errors import NotFoundError, UserError
from runs.image_arrays import SIDE, array_header, check_label_range

if TYPE_CHECKING:
    import numpy as np


def check_generated(path: Path, data: str) -> int:
    """The number of images of a file that fits a data set.

    Raises:
        NotFoundError: there is no such file.
        UserError: it is no npz of ``image`` and ``label``, holds Python objects, or has images of
            another size or labels outside of the classes.
    """
    if not path.is_file():
        raise NotFoundError(f"generated images: there is no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            images, image_type = _header(archive, "image")
            labels = _labels(archive)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise UserError(
            f"{path} is no npz with the arrays image and label ({reason}): write it with "
            "numpy.savez(FILE, image=…, label=…)"
        ) from None
    if image_type != "uint8" or len(images) != 4 or images[3] != 3:
        raise UserError(
            f"image of {path} is {image_type} {_shape(images)}: uint8 (M, H, W, 3) is needed"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != images[0]:
        raise UserError(
            f"label of {path} is {labels.dtype} {_shape(labels.shape)}: whole numbers "
            f"({images[0]},) are needed, one for each image"
        )
    if not len(labels):
        raise UserError(f"{path} holds no image")
    _check_fit(path, images, (int(labels.min()), int(labels.max())), data)
    return images[0]


def _check_fit(path: Path, images: tuple[int, ...], extremes: tuple[int, int], data: str) -> None:
    dataset = DATASETS[data]
    if images[1:3] != (SIDE, SIDE):
        raise UserError(
            f"the images of {path} have {images[2]}×{images[1]} pixels, those of {dataset.title} "
            f"{SIDE}×{SIDE}"
        )
    check_label_range(path, *extremes, dataset)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of an array, from its first bytes.

    Raises:
        ValueError: it can't be read without running code, or its order is Fortran's.
        KeyError: there is no such array.
    """
    with archive.open(f"{name}.npy") as stream:
        shape, dtype, _ = array_header(stream, name)
    return shape, dtype


def _labels(archive: zipfile.ZipFile) -> "np.ndarray[Any, np.dtype[Any]]":
    from numpy.lib import format as npy

    _header(archive, "label")
    with archive.open("label.npy") as stream:
        labels: np.ndarray[Any, np.dtype[Any]] = npy.read_array(stream, allow_pickle=False)
    return labels


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def generated_words(count: int | None, share: float, file: str) -> str:
    """``1,000,000 generated images (1m.npz, 70 % of each batch)``; without an unknown count."""
    number = "" if count is None else f"{count:,} "
    return f"{number}generated images ({file}, {100 * share:g} % of each batch)"
