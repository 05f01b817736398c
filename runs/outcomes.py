"""The outcome of every image of an attack run: the evidence behind a table's rates.

An attack run keeps it in ``outcomes.npz``. Two figures need it that rates alone can't give: the
classes in which a model breaks, and whether one model is more robust than another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from runs.budgets import at_budget
from runs.errors import NotFoundError
from runs.intervals import paired, rate, wilson
from runs.jsonfiles import replacing
from runs.regular_files import open_regular
from runs.result_types import Interval, PairedRows, Row, Table, ThreatModel, is_curve

if TYPE_CHECKING:
    import numpy as np

    Classes = np.ndarray[Any, np.dtype[np.int16]]

FILE = "outcomes.npz"


@dataclass
class Outcomes:
    """Predictions on the evaluated images, int16 of shape (n,) each.

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
        """Replace the file atomically.

        Raises:
            StorageError: the file can't be written; what was there stays.
        """
        import numpy as np

        pairs = list(self.attacked)
        predictions = 1 + len(self.clean) + len(pairs)
        with replacing(path, predictions * self.labels.nbytes) as stream:
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
            NotFoundError: the file is missing or can't be read.
        """
        import numpy as np

        try:
            with open_regular(path) as stream, np.load(stream, allow_pickle=False) as kept:
                found = cls(
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
            found._check()
            return found
        except FileNotFoundError:
            reason = "no file"
        except Exception as error:  # zipfile, zlib and NumPy each have their own
            reason = str(error) or type(error).__name__
        raise NotFoundError(
            f"{path.parent.name} has no outcomes of single images ({reason}): "
            f"attack again to have them"
        )

    def _check(self) -> None:
        """Raise ValueError unless every image has a label, an index and each model's classes."""
        predictions: list[np.ndarray[Any, Any]] = [*self.clean.values(), *self.attacked.values()]
        everything: list[np.ndarray[Any, Any]] = [self.labels, self.indices, *predictions]
        shape = (len(self.labels),)
        for array in everything:
            if array.dtype.kind not in "iu" or array.shape != shape:
                raise ValueError("its arrays do not fit together")
        for classes in (self.labels, *predictions):
            if classes.size and classes.min() < 0:
                raise ValueError("it holds a negative class")
        if len(self.labels) and self.labels.max() >= len(self.classes):
            raise ValueError("it holds a label without a name")
        if any(model not in self.clean for model, _ in self.attacked):
            raise ValueError("it holds an attack on a model without clean predictions")


Confusion = TypedDict("Confusion", {"class": str, "k": int})
"""A class, and how many images that the attack turned wrong the model takes for it."""
ClassOutcome = TypedDict(
    "ClassOutcome",
    {
        "class": str,
        "n": int,
        "correct_k": int,
        "accuracy": float | None,
        "accuracy_ci95": Interval | None,
        "broken_k": int,
        "broken_rate": float | None,
        "broken_ci95": Interval | None,
        "robust_k": int,
        "robust_accuracy": float | None,
        "becomes": list[Confusion],
    },
)
"""One class under an attack; ``broken`` counts images right when clean that it turns wrong."""


def per_class(outcomes: Outcomes, model: str, attack: str) -> list[ClassOutcome]:
    """Where a model breaks under an attack: one object per class, in the classes' order.

    ``becomes`` lists the classes that its broken images are taken for, the most frequent first.
    """
    import numpy as np

    labels, clean = outcomes.labels, outcomes.clean[model]
    attacked = outcomes.attacked[model, attack]
    rows: list[ClassOutcome] = []
    for number, name in enumerate(outcomes.classes):
        of_class = labels == number
        right = of_class & (clean == number)
        broken = right & (attacked != number)
        n, correct, wrong = int(of_class.sum()), int(right.sum()), int(broken.sum())
        counts = np.bincount(attacked[broken], minlength=len(outcomes.classes))
        order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
        rows.append(
            {
                "class": name,
                "n": n,
                "correct_k": correct,
                "accuracy": rate(correct, n),
                "accuracy_ci95": wilson(correct, n),
                "broken_k": wrong,
                "broken_rate": rate(wrong, correct),
                "broken_ci95": wilson(wrong, correct),
                "robust_k": correct - wrong,
                "robust_accuracy": rate(correct - wrong, n),
                "becomes": [
                    {"class": _class_name(outcomes, int(c)), "k": int(counts[c])} for c in order
                ],
            }
        )
    return rows


def _class_name(outcomes: Outcomes, number: int) -> str:
    """The name of a class; a network may have more of them than its data set has names."""
    names = outcomes.classes
    return names[number] if number < len(names) else f"class {number}"


def compare_pairs(folder: Path, table: Table) -> list[PairedRows]:
    """Each two rows that were attacked on the same images, under each attack that both know.

    Args:
        folder: the folder of the runs.
        table: the comparison table; a row without outcomes of single images is left out.

    Returns:
        For each pair and attack the two models, the more robust one first, and
        :func:`runs.intervals.paired` of the images that each withstands. ``withstood`` counts the
        images that at least one of them withstands.
    """
    evaluations = {row.get("evaluation") for row in table["rows"]} - {None}
    outcomes = {name: _outcomes_of(folder / str(name)) for name in evaluations}
    pairs: list[PairedRows] = []
    for number, row in enumerate(table["rows"]):
        for earlier in table["rows"][:number]:
            ours, others = (outcomes.get(each.get("evaluation")) for each in (row, earlier))
            if ours is None or others is None or not _same_images(ours, others):
                continue
            for attack in level_names(row, table["threat_model"]):
                withstood = ours.withstood(row["model"], attack)
                other_withstood = others.withstood(earlier["model"], attack)
                if withstood is None or other_withstood is None:
                    continue
                models = [row["model"], earlier["model"]]
                if withstood.sum() < other_withstood.sum():
                    withstood, other_withstood = other_withstood, withstood
                    models.reverse()
                pairs.append(
                    {
                        "attack": attack,
                        "one": models[0],
                        "other": models[1],
                        "withstood": int((withstood | other_withstood).sum()),
                        **paired(withstood, other_withstood),
                    }
                )
    return pairs


def _outcomes_of(run_folder: Path) -> Outcomes | None:
    try:
        return Outcomes.load(run_folder / FILE)
    except NotFoundError:
        return None


def level_names(row: Row, threat_model: ThreatModel) -> list[str]:
    """The names under which a row's outcomes are kept: an attack's name, or one name for each ε."""
    names = []
    for attack, cells in row["attacks"].items():
        if is_curve(cells, threat_model):
            names += [at_budget(attack, cell["eps"] or 0.0) for cell in cells]
        else:
            names.append(attack)
    return names


def _same_images(left: Outcomes, right: Outcomes) -> bool:
    return bool(left.indices.tolist() == right.indices.tolist())
