"""What can be checked of a request without torch, before a run is made.

The rest, such as a GPU and weights, the worker checks first of all.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from runs.corruptions import check_corruptions
from runs.datasets import check_data, dataset_of
from runs.errors import UserError
from runs.generated import check_generated

if TYPE_CHECKING:
    from runs.spec import AnySpec
    from runs.threat_model import Attack

_LEAST_CLASSES = {"the DLR loss": 3, "the targeted DLR loss": 4, "AutoAttack": 4}


def check_request(spec: "AnySpec", home: Path) -> None:
    """Refuse a run that its worker would refuse.

    Raises:
        UserError: no job can be handed to Slurm here.
        NotFoundError: the data, or corrupted images, are absent or damaged.
        UserError: generated or corrupted images don't fit the data, or an attack needs a package
            that is not installed, or more classes.
    """
    if spec.slurm is not None:
        from runs.submission import check_slurm

        check_slurm()
    if spec.kind == "sweep":
        from runs.sweep_points import check_points, combinations

        check_points(spec, list(combinations(spec.grid, spec.seeds)))
        check_request(spec.base, home)
        return
    check_data(spec.data, home, spec.data_dir)
    trainings = [spec] if spec.kind == "train" else []
    if spec.kind == "study":
        trainings = [spec.baseline, spec.robust]
    for file in {training.generated for training in trainings} - {None}:
        check_generated(Path(str(file)), spec.data)
    evaluation = spec if spec.kind == "attack" else None
    if spec.kind == "study":
        evaluation = spec.attack
    if evaluation is not None and evaluation.corruptions is not None:
        check_corruptions(Path(evaluation.corruptions), spec.data)
    for attack in evaluation.attacks if evaluation is not None else ():
        _check_attack(attack, dataset_of(spec.data).classes)


def _check_attack(attack: "Attack", classes: int) -> None:
    what = _with_few_classes(attack)
    least = _LEAST_CLASSES.get(what, 0)
    if classes < least:
        raise UserError(
            f"{attack.name}: {what} needs at least {least} classes, the data have {classes}: "
            "use pgd-untargeted, pgd-targeted or pgd-margin"
        )
    if attack.method == "autoattack" and importlib.util.find_spec("pyautoattack") is None:
        raise UserError("AutoAttack is not installed: pip install 'advtui[autoattack]'")


def _with_few_classes(attack: "Attack") -> str:
    """What of an attack does not work with few classes; "" where all of it does."""
    if attack.method == "autoattack":
        return "AutoAttack"
    if attack.pgd.loss == "dlr":
        return "the DLR loss" if attack.targets is None else "the targeted DLR loss"
    return ""
