"""Files of corrupted test images: CIFAR-10-C and CIFAR-100-C (Hendrycks & Dietterich 2019).

A folder holds a file for each corruption, uint8 (5 N, 32, 32, 3): the N images of the test split at
severity 1, then at severity 2, …, 5. ``labels.npy`` holds whole numbers (5 N,). The module checks
the files without reading their images; the engine reads them.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.datasets import DATASETS
from runs.errors import NotFoundError, UserError
from runs.image_arrays import SIDE, array_header, check_label_range
from runs.result_types import Corruptions, Row

if TYPE_CHECKING:
    import numpy as np

GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"""The 15 corruptions of the benchmark by kind; the paper's four further ones are for validation."""
NAMES = tuple(name for group in GROUPS.values() for name in group)
SEVERITIES = 5
LABELS = "labels.npy"
DATA = ("cifar10", "cifar100")
"""The data sets that have such files."""


def check_corruptions(folder: Path, data: str) -> None:
    """Refuse a folder that is not whole or does not fit the test split of a data set.

    Of the labels it checks number, type, range, and that they are the same at each severity. The
    engine compares them with those of the test split.

    Raises:
        NotFoundError: the folder or one of its files is absent.
        UserError: the data set has no such files; or a file can't be read without running code, or
            has another shape or type.
    """
    if data not in DATA:
        raise UserError(f"corruptions are of cifar10 and cifar100 alone: data is {data}")
    if not folder.is_dir():
        raise NotFoundError(f"corruptions: there is no folder {folder}")
    if missing := [n for n in (*NAMES, "labels") if not (folder / f"{n}.npy").is_file()]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise NotFoundError(
            f"{folder} lacks {missing[0]}.npy{more}: --corruptions names the folder with the 15 "
            f"corruptions and {LABELS} of {DATASETS[data].title}-C"
        )
    count = SEVERITIES * DATASETS[data].test_images
    for name in NAMES:
        shape, kind = _header(folder / f"{name}.npy")
        if (shape, kind) != ((count, SIDE, SIDE, 3), "uint8"):
            raise UserError(
                f"{folder / name}.npy is {kind} {shape}: uint8 ({count}, {SIDE}, {SIDE}, 3) is "
                "needed, the test split at each of 5 severities"
            )
    _check_labels(folder / LABELS, data, count)


def _check_labels(path: Path, data: str, count: int) -> None:
    shape, kind = _header(path)
    if shape != (count,) or not kind.startswith(("int", "uint")):
        raise UserError(f"{path} is {kind} {shape}: whole numbers ({count},) are needed")
    labels = read_labels(path)
    check_label_range(path, int(labels.min()), int(labels.max()), DATASETS[data])
    if (labels != labels[0]).any():
        raise UserError(f"the labels of {path} are not the same at each of the 5 severities")


def read_labels(path: Path) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The labels of a folder, int64 (5, N): a line for each severity.

    Raises:
        UserError: the file is cut off.
    """
    import numpy as np

    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    return labels.astype(np.int64).reshape(SEVERITIES, -1)  # type: ignore[no-any-return]


def _header(path: Path) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of an npy file, from its first bytes, if the rest has the size they say.

    Raises:
        UserError: it can't be read without running code, is cut off, or is in Fortran order.
    """
    try:
        with path.open("rb") as stream:
            shape, dtype, item_bytes = array_header(stream, "it")
            size = path.stat().st_size - stream.tell()
        if size < math.prod(shape) * item_bytes:
            raise ValueError("it is cut off")
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    return shape, dtype


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = str(error.args[0] if error.args else type(error).__name__).partition("\n")[0]
    return UserError(f"{path} is no plain npy array ({reason}): fetch or write it again")


def corruption_figures(correct: Mapping[str, Sequence[int]], n: int) -> Corruptions:
    """The figures of a row from counts.

    Args:
        correct: by corruption the numbers of images that are classified correctly, at severity 1
            to 5.
        n: images of each corruption at each severity.
    """
    shares = {name: [count / n for count in correct[name]] for name in NAMES}
    return {
        "n": n,
        "mean_accuracy": mean([mean(levels) for levels in shares.values()]),
        "accuracy": shares,
    }


def mean(shares: Sequence[float]) -> float:
    """Their mean, summed exactly."""
    return math.fsum(shares) / len(shares)


def has_corruptions(rows: Sequence[Row]) -> bool:
    """Whether a table has the column: one of its rows has the figures."""
    return any("corruptions" in row for row in rows)


def mean_of(row: Row) -> float | None:
    """The mean accuracy of a row over corruptions and severities; None where it has none."""
    return row["corruptions"]["mean_accuracy"] if "corruptions" in row else None


def corruption_note(rows: Sequence[Row]) -> list[str]:
    """The definition of the column and n, a line; [] where no row has the figures."""
    counts = sorted({row["corruptions"]["n"] for row in rows if "corruptions" in row})
    if not counts:
        return []
    numbers = " or ".join(map(str, counts))
    return [
        f"corrupted: mean accuracy over {len(NAMES)} corruptions × {SEVERITIES} severities "
        f"(Hendrycks & Dietterich 2019), of unattacked images, n = {numbers} each"
    ]
