"""Arrays of images and labels in files that others made: what they are, before they are read.

No function runs code that a file may hold. Knows no format of a folder or an archive.
"""

from pathlib import Path
from typing import IO

from runs.datasets import Dataset
from runs.errors import UserError

SIDE = 32
"""Height and width of the images of the named data sets, in pixels."""


def array_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], str, int]:
    """Shape, dtype and bytes of an entry of an npy file; the stream is then at its data.

    Raises:
        ValueError: it is no such file, holds Python objects, or is in Fortran order; ``name`` says
            in the sentence which array it is.
    """
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, in_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if in_columns and len(shape) > 1:
        raise ValueError(f"{name} is in Fortran order")
    return tuple(shape), str(dtype), dtype.itemsize


def check_label_range(path: Path, lowest: int, highest: int, dataset: Dataset) -> None:
    """Refuse labels outside of the classes of a data set.

    Raises:
        UserError: with both ranges.
    """
    if lowest < 0 or highest >= dataset.classes:
        raise UserError(
            f"the labels of {path} are {lowest} to {highest}: those of {dataset.title} are 0 to "
            f"{dataset.classes - 1}"
        )
