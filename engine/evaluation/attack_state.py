"""How far an attack on a model has come, in a file: a resumed run goes on at the next batch.

One file in the run's folder holds the attack at work. Knows nothing about attack routines.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from runs.jsonfiles import replacing
from runs.regular_files import open_regular

FILE = "attack_state.npz"
SAVE_EVERY_S = 10.0
"""Shortest time between two savings, in seconds; a stop saves at once."""

Array = np.ndarray[Any, np.dtype[np.int64]]


class Reached(NamedTuple):
    """What was reached at the end of a batch."""

    numbers: dict[str, Any]
    """As JSON can hold them: counts, extremes, places in loops."""
    arrays: dict[str, Array]
    """Predictions and places of images."""


class AttackState:
    """The file of one attack on one model; as a context it saves what is due when the work ends.

    Args:
        folder: of the run; None: nothing is read or written, by a rank other than 0.
        model: label of the model.
        attack: name of the attack.
        clean: int64 (N,), predictions on the clean images. Where they differ from those in the
            file, another network or other images were attacked, and the file is not used.
    """

    def __init__(self, folder: Path | None, model: str, attack: str, clean: Array) -> None:
        self._path = None if folder is None else folder / FILE
        self._key, self._clean = [model, attack], clean
        self._due: Reached | None = None
        self._saved_at = time.monotonic()

    def load(self) -> Reached | None:
        """What an earlier attempt has reached; None where it has not begun this attack."""
        if self._path is None:
            return None
        try:
            with open_regular(self._path) as stream, np.load(stream, allow_pickle=False) as kept:
                numbers = json.loads(str(kept["numbers"]))
                arrays = {name: kept[name] for name in kept.files if name != "numbers"}
            is_same = numbers.pop("key") == self._key
            if is_same and np.array_equal(arrays.pop("clean"), self._clean):
                return Reached(numbers, arrays)
        except Exception:  # zipfile, zlib and NumPy each have their own; the attack begins anew
            return None
        return None

    def keep(self, numbers: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Note what was reached at the end of a batch, and save it if that is due.

        Raises:
            StorageError: the file can't be written.
        """
        self._due = Reached(dict(numbers), {name: part.copy() for name, part in arrays.items()})
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        if self._due is None or self._path is None:
            return
        numbers, arrays = self._due
        size = self._clean.nbytes + sum(part.nbytes for part in arrays.values())
        with replacing(self._path, size) as stream:
            np.savez_compressed(
                stream,
                numbers=json.dumps({**numbers, "key": self._key}),
                clean=self._clean,
                **arrays,  # type: ignore[arg-type]
            )
        self._due, self._saved_at = None, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._save()


def forget(folder: Path) -> None:
    """Remove the file of a run whose attacks are all done."""
    (folder / FILE).unlink(missing_ok=True)
