"""A folder of class folders with pictures in them, written to disk."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, value: int, size: tuple[int, int] = (32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), value, dtype=np.uint8)
    pixels[0, 0] = (255, 0, 7)
    Image.fromarray(pixels).save(path)


def write_class_folders(root: Path) -> Path:
    """Twelve classes of three pictures each, and a hidden folder that is no class."""
    for label in range(12):
        for n in range(3):
            picture(root / str(label) / f"{n}.png", 10 * label + n)
    (root / ".cache").mkdir()
    return root
