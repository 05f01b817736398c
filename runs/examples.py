"""The pictures that an attack run keeps: clean and adversarial, with predictions.

The format of ``examples.npz``, written by the engine and read by the screen. NumPy is imported on
first use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runs.errors import NotFoundError
from runs.jsonfiles import replacing
from runs.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np

FILE = "examples.npz"
ARRAYS = (
    *("images", "labels", "indices", "adversarial", "targets", "models", "attacks", "classes"),
    *("clean_predictions", "clean_confidences", "predictions", "confidences"),
)
"""Names of the arrays in the file; see :func:`save_examples`."""

Verdict = Literal["wrong when clean", "holds", "fooled", "hit", "missed, but wrong"]
"""What an attack came to on one image; see :func:`verdict`."""


def verdict(label: int, clean: int, attacked: int, target: int | None) -> Verdict:
    """What an attack came to on one image, by the definitions of the comparison table.

    ``wrong when clean``: the model misclassifies the clean image, so it counts neither as a success
    nor as robust, whatever the attack does to it. ``holds``: correct both clean and attacked, as
    robust accuracy counts. ``fooled``: an untargeted success. ``hit``: a targeted success.
    ``missed, but wrong``: a targeted attack has turned the image into a third class, which is
    neither a success nor robust.

    Args:
        label: the class of the image.
        clean, attacked: the classes predicted for the clean and for the adversarial image.
        target: the class that a targeted attack aims at; None: the attack is untargeted.
    """
    if clean != label:
        return "wrong when clean"
    if attacked == label:
        return "holds"
    if target is None:
        return "fooled"
    return "hit" if attacked == target else "missed, but wrong"


def save_examples(path: Path, **arrays: "np.ndarray[Any, Any]") -> None:
    """Write ``examples.npz`` atomically.

    Args:
        path: the file.
        arrays: of M models, A attacks and K images: ``images`` uint8 (K, 3, H, W); ``labels``,
            ``indices`` (K,); ``adversarial`` float32 (M, A, K, 3, H, W) in [0, 1];
            ``clean_predictions``, ``clean_confidences`` (M, K); ``predictions``, ``confidences``
            (M, A, K); ``targets`` (M, A, K), −1 where the attack is untargeted; ``models``,
            ``attacks``, ``classes``: names.

    Raises:
        ValueError: an array is missing.
        StorageError: the file can't be written; what was there stays.
    """
    import numpy as np

    if missing := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(f"arrays are missing: {', '.join(missing)}")
    with replacing(path, sum(array.nbytes for array in arrays.values())) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Attacked:
    """One image under one attack."""

    attack: str
    image: Any
    """uint8 (H, W, 3)."""
    perturbation: Any
    """uint8 (H, W, 3): grey where nothing was changed, amplified."""
    amplified: float
    prediction: str
    confidence: float
    target: str | None
    verdict: Verdict


@dataclass(frozen=True)
class Example:
    """One test image as a model sees it, clean and under each attack."""

    index: int
    label: str
    clean: Any
    prediction: str
    confidence: float
    is_correct: bool
    """Whether the model classifies the clean image correctly."""
    attacked: list[Attacked]


class Examples:
    """The pictures that an attack run has kept."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            NotFoundError: it is absent, or not what an attack run writes.
        """
        import numpy as np

        try:
            with open_regular(path) as stream, np.load(stream, allow_pickle=False) as found:
                self._of = {key: found[key] for key in found.files}
            for key in ARRAYS:
                self._of[key]
            self.models = [str(name) for name in self._of["models"]]
            self.attacks = [str(name) for name in self._of["attacks"]]
            self.count = len(self._of["images"])
            shape = (len(self.models), len(self.attacks), self.count)
            self._check(shape)
        except FileNotFoundError:
            raise NotFoundError("no pictures were kept") from None
        except Exception as error:  # zipfile, zlib and NumPy each have their own
            raise NotFoundError(f"{path} can't be read: {error}") from None

    def _check(self, shape: tuple[int, int, int]) -> None:
        """Raise ValueError unless the arrays are of the types and shapes that are written."""
        models, _, count = shape
        pictures = self._of["images"].shape
        expected = {
            "images": ("u", (count, 3, *pictures[2:])),
            "adversarial": ("f", (*shape, 3, *pictures[2:])),
            **dict.fromkeys(("labels", "indices"), ("iu", (count,))),
            **dict.fromkeys(("predictions", "targets"), ("iu", shape)),
            "confidences": ("f", shape),
            "clean_predictions": ("iu", (models, count)),
            "clean_confidences": ("f", (models, count)),
        }
        if len(pictures) != 4 or self._of["images"].itemsize != 1 or self._of["classes"].ndim != 1:
            raise ValueError("its arrays do not fit together")
        for key, (kinds, size) in expected.items():
            if self._of[key].dtype.kind not in kinds or self._of[key].shape != size:
                raise ValueError(f"{key} is of another type or size")

    def example(self, model: int, number: int) -> Example:
        """The picture ``number`` as ``model`` sees it."""
        of = self._of
        clean = of["images"][number]
        label, predicted = int(of["labels"][number]), int(of["clean_predictions"][model, number])
        return Example(
            index=int(of["indices"][number]),
            label=self._class(label),
            clean=_pixels(clean),
            prediction=self._class(predicted),
            confidence=float(of["clean_confidences"][model, number]),
            is_correct=predicted == label,
            attacked=[self._attacked(model, a, number) for a in range(len(self.attacks))],
        )

    def _attacked(self, model: int, attack: int, number: int) -> Attacked:
        import numpy as np

        of = self._of
        adversarial = of["adversarial"][model, attack, number].astype(np.float32)
        delta = adversarial - of["images"][number].astype(np.float32) / 255
        largest = float(np.abs(delta).max()) or 1.0
        predicted = int(of["predictions"][model, attack, number])
        aim = int(of["targets"][model, attack, number])
        target = None if aim < 0 else aim
        return Attacked(
            attack=self.attacks[attack],
            image=_pixels(np.rint(np.clip(adversarial, 0, 1) * 255).astype(np.uint8)),
            perturbation=_pixels(np.rint((0.5 + 0.5 * delta / largest) * 255).astype(np.uint8)),
            amplified=0.5 / largest,
            prediction=self._class(predicted),
            confidence=float(of["confidences"][model, attack, number]),
            target=None if target is None else self._class(target),
            verdict=verdict(
                int(of["labels"][number]),
                int(of["clean_predictions"][model, number]),
                predicted,
                target,
            ),
        )

    def _class(self, number: Any) -> str:
        names = self._of["classes"]
        return str(names[int(number)]) if 0 <= int(number) < len(names) else f"class {number}"


def _pixels(chw: Any) -> Any:
    return chw.transpose(1, 2, 0)
