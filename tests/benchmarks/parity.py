"""Robust accuracy of one checkpoint by our attacks and by other libraries', as a Markdown table.

    python tests/benchmarks/parity.py --checkpoint FILE --data DIR [--images 1000] [--autoattack]

Ours goes the way of ``advtui attack``: an attack spec,
:func:`engine.evaluation.evaluate.evaluate`, and the outcomes that it keeps. DIR holds
``cifar-100-python/``. AutoAttack takes an hour on two CPU cores.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.datasets import load
from engine.data.pictures import Pictures, to_float
from engine.data.splits import balanced
from engine.devices import resolve
from engine.evaluation.evaluate import evaluate
from engine.models.checkpoint import load_model
from engine.models.resnet import PictureClassifier
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from libraries import PREPARERS, named
from runs.attacks import named_attack
from runs.events import EventWriter
from runs.outcomes import FILE, Outcomes
from runs.spec import AttackSpec, CheckpointRef
from runs.store import Store
from runs.threat_model import EVALUATION_PGD, PGD

BATCH, LABEL = 250, "parity"
STAGES = {
    "apgd-ce": ("apgd-ce",),
    "apgd-dlr": ("apgd-dlr",),
    "apgd-targeted": ("apgd-t",),
    "autoattack": ("apgd-ce", "apgd-t", "fab-t", "square"),
}
"""Our names of attacks, and which of AutoAttack's stages, by their authors' names, they are."""


def first_images(data: Path, count: int) -> Pictures:
    """The first ``count`` CIFAR-100 test images in class order, on the CPU."""
    return balanced(load("cifar100", data, str(data)).test, count)


def ours(
    checkpoint: Path,
    data: Path,
    count: int,
    attacks: Sequence[str],
    device: torch.device,
    precision: str = "fp32",
) -> dict[str, Tensor]:
    """For each attack, by its name, which images our evaluation calls robust: bool (count,)."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        reference = CheckpointRef(run="trained", checkpoint="best_robust", label=LABEL)
        (home / reference.file).parent.mkdir(parents=True)
        shutil.copy(checkpoint, home / reference.file)
        spec = AttackSpec(
            checkpoints=(reference,),
            attacks=tuple(named_attack(name, EVALUATION_PGD) for name in attacks),
            data_dir=str(data),
            precision=precision,
            limit=count,
            batch_size=BATCH,
            examples=0,
        )
        run = Store(home).create(spec)
        evaluate(RunContext(run, EventWriter(run.events_path), StopSignal(run)), spec, device)
        outcomes = Outcomes.load(run.path / FILE)
    return {name: torch.from_numpy(outcomes.withstood(LABEL, name)) for name in attacks}


def by_library(name: str, model: PictureClassifier, pictures: Pictures) -> Tensor:
    """Which images withstand a library's PGD-20: bool (N,).

    As in our evaluation it attacks those alone that are right when clean, in the same batches.
    """
    craft = PREPARERS[name](model, EVALUATION_PGD)
    np.random.seed(0)  # ART draws from it
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return withstand(model, pictures, lambda cut: craft(*floats(pictures, cut), []))


def by_authors(
    stages: Sequence[str], model: PictureClassifier, pictures: Pictures, eps: float
) -> Tensor:
    """Which images withstand AutoAttack by itself, or some of its stages: bool (N,)."""
    from pyautoattack import AutoAttack

    device = pictures.images.device
    authors = AutoAttack(model, norm="Linf", eps=eps, seed=0, version="standard", device=device)
    authors.attacks_to_run = list(stages)
    images = to_float(pictures.images).contiguous()
    with torch.random.fork_rng():
        found, _ = authors.run_standard_evaluation(images, pictures.labels, batch_size=BATCH)
    return right(model, found, pictures.labels)


def withstand(
    model: PictureClassifier, pictures: Pictures, craft: Callable[[Tensor], Tensor]
) -> Tensor:
    """Which images stay right under ``craft``, from places (M,) to adversarial images."""
    robust = right(model, to_float(pictures.images), pictures.labels)
    for cut in robust.nonzero().flatten().split(BATCH):
        robust[cut] = right(model, craft(cut), pictures.labels[cut])
    return robust


def floats(pictures: Pictures, cut: Tensor) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and labels at the places ``cut``."""
    return to_float(pictures.images[cut]), pictures.labels[cut]


@torch.no_grad()
def right(model: PictureClassifier, images: Tensor, labels: Tensor) -> Tensor:
    """Which images, float (N, 3, 32, 32), the model classifies as ``labels`` say: bool (N,)."""
    predicted = torch.cat([model(part).argmax(dim=1) for part in images.split(BATCH)])
    return predicted == labels


def row(attack: str, library: str, mine: Tensor, theirs: Tensor) -> str:
    """One line of the table, in % and points."""
    ours, other = (100 * float(robust.float().mean()) for robust in (mine, theirs))
    same = int((mine.cpu() == theirs.cpu()).sum())
    cells = (attack, library, f"{ours:.1f}", f"{other:.1f}", f"{ours - other:+.1f}")
    return f"| {' | '.join(cells)} | {same} of {len(mine)} |"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--checkpoint", type=Path, required=True)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--images", type=int, default=1000)
    asked.add_argument("--device", default="auto")
    asked.add_argument("--autoattack", action="store_true", help="compare whole AutoAttack alone")
    given = asked.parse_args()
    device = resolve(given.device)
    model = load_model(given.checkpoint, classes=100)[0].to(device)
    pictures = first_images(given.data, given.images).to(device)
    attacks = ["autoattack"] if given.autoattack else ["pgd-untargeted", *list(STAGES)[:-1]]
    print("| attack | library | ours, robust % | theirs, robust % | points | same outcome |")
    print("|---|---|---|---|---|---|", flush=True)
    for attack in attacks:
        mine = ours(given.checkpoint, given.data, given.images, [attack], device)[attack]
        if attack == "pgd-untargeted":
            theirs = {named(name): by_library(name, model, pictures) for name in PREPARERS}
        else:
            found = by_authors(STAGES[attack], model, pictures, PGD().eps)
            theirs = {named("pyautoattack"): found}
        for library, robust in theirs.items():
            print(row(attack, library, mine, robust), flush=True)


if __name__ == "__main__":
    main()
