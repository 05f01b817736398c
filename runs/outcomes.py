"""What became of each image: the evidence behind a table's rates, image by image.

An attack run keeps it in ``outcomes.npz``, and everything that rates alone can't tell is computed
from it: where a model breaks, and whether one model withstands more than another.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs.budgets import format_budget
from runs.errors import NotFoundError
from runs.intervals import paired, rate, wilson
from runs.jsonfiles import replacing

if TYPE_CHECKING:
    import numpy as np

    Classes = np.ndarray[Any, np.dtype[np.int16]]

FILE = "outcomes.npz"


@dataclass
class Outcomes:
    """Predictions of the evaluated images, int16 of shape (n,) each.

    ``labels`` (int16) and ``indices`` (int64, places in the official split) are the images' own;
    ``classes`` the names; ``clean`` the predictions by model, ``attacked`` those on the
    adversarial images by model and attack. An image that is wrong when clean is not attacked: its
    prediction stays the clean one.
    """

    labels: "Classes"
    indices: "np.ndarray[Any, np.dtype[np.int64]]"
    classes: Sequence[str]
    clean: "dict[str, Classes]" = field(default_factory=dict)
    attacked: "dict[tuple[str, str], Classes]" = field(default_factory=dict)

    def withstood(self, model: str, attack: str) -> "np.ndarray[Any, np.dtype[np.bool_]] | None":
        """Which images the model classifies correctly both clean and attacked; None: unknown."""
        attacked = self.attacked.get((model, attack))
        if attacked is None or model not in self.clean:
            return None
        withstood: np.ndarray[Any, np.dtype[np.bool_]] = (attacked == self.labels) & (
            self.clean[model] == self.labels
        )
        return withstood

    def save(self, path: Path) -> None:
        """Write it whole, or leave what was there."""
        import numpy as np

        pairs = list(self.attacked)
        with replacing(path) as stream:
            np.savez_compressed(
                stream,
                labels=self.labels,
                indices=self.indices,
                classes=np.array(list(self.classes)),
                models=np.array(list(self.clean), dtype=np.str_),
                clean=np.array(list(self.clean.values()), dtype=np.int16),
                pairs=np.array(pairs, dtype=np.str_).reshape(-1, 2),
                attacked=np.array(list(self.attacked.values()), dtype=np.int16),
            )

    @classmethod
    def load(cls, path: Path) -> "Outcomes":
        """Read what :meth:`save` has written.

        Raises:
            NotFoundError: it is missing or can't be read.
        """
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as kept:
                return cls(
                    labels=kept["labels"],
                    indices=kept["indices"],
                    classes=[str(name) for name in kept["classes"]],
                    clean=dict(zip(map(str, kept["models"]), kept["clean"], strict=True)),
                    attacked={
                        (str(model), str(attack)): predicted
                        for (model, attack), predicted in zip(
                            kept["pairs"], kept["attacked"], strict=True
                        )
                    },
                )
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise NotFoundError(
                f"{path.parent.name} has no outcomes of single images ({type(error).__name__}): "
                f"attack again to have them"
            ) from None


def per_class(outcomes: Outcomes, model: str, attack: str) -> list[dict[str, Any]]:
    """Where a model breaks under an attack: one object a class, in the classes' order.

    ``becomes`` lists the classes that its fooled images are taken for, the most frequent first.
    """
    import numpy as np

    labels, clean = outcomes.labels, outcomes.clean[model]
    attacked = outcomes.attacked[model, attack]
    found = []
    for number, name in enumerate(outcomes.classes):
        own = labels == number
        right = own & (clean == number)
        broken = right & (attacked != number)
        n, correct, fooled = int(own.sum()), int(right.sum()), int(broken.sum())
        counts = np.bincount(attacked[broken], minlength=len(outcomes.classes))
        order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
        found.append(
            {
                "class": name,
                "n": n,
                "correct_k": correct,
                "accuracy": rate(correct, n),
                "accuracy_ci95": wilson(correct, n),
                "broken_k": fooled,
                "broken_rate": rate(fooled, correct),
                "broken_ci95": wilson(fooled, correct),
                "robust_k": correct - fooled,
                "robust_accuracy": rate(correct - fooled, n),
                "becomes": [
                    {"class": outcomes.classes[int(c)], "k": int(counts[c])} for c in order
                ],
            }
        )
    return found


def compare_pairs(folder: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each two rows that were attacked on the same images, under each attack that both know.

    Args:
        folder: where the runs lie.
        rows: of a table; a row without outcomes of single images is left out.

    Returns:
        :func:`runs.intervals.paired` of the images that each withstands, with ``attack``, ``one``
        and ``other``, the models' names, the more robust one first, and ``withstood``, the images
        that either of them withstands.
    """
    read: dict[str, Outcomes | None] = {}
    for row in rows:
        name = row.get("evaluation")
        if name and name not in read:
            try:
                read[name] = Outcomes.load(folder / name / FILE)
            except NotFoundError:
                read[name] = None
    found = []
    for n, row in enumerate(rows):
        for before in rows[:n]:
            one, other = (read.get(each.get("evaluation") or "") for each in (row, before))
            if one is None or other is None or not _same_images(one, other):
                continue
            for attack in level_names(row):
                withstood = one.withstood(row["model"], attack)
                other_withstood = other.withstood(before["model"], attack)
                if withstood is None or other_withstood is None:
                    continue
                names = [row["model"], before["model"]]
                if withstood.sum() < other_withstood.sum():
                    withstood, other_withstood = other_withstood, withstood
                    names.reverse()
                found.append(
                    {
                        "attack": attack,
                        "one": names[0],
                        "other": names[1],
                        "withstood": int((withstood | other_withstood).sum()),
                        **paired(withstood, other_withstood),
                    }
                )
    return found


def level_names(row: dict[str, Any]) -> list[str]:
    """The names under which a row's outcomes are kept: an attack's, with several ε one for each."""
    names = []
    for attack, value in row["attacks"].items():
        several = value if isinstance(value, list) else []
        names += [f"{attack} ε {format_budget(cell['eps'])}" for cell in several] or [attack]
    return names


def _same_images(one: Outcomes, other: Outcomes) -> bool:
    return bool(one.indices.tolist() == other.indices.tolist())
