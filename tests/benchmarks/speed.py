"""Speed of our PGD-20 beside other libraries', as a Markdown table.

    python tests/benchmarks/speed.py --natural FILE --robust FILE --data DIR [--images 250]

The first column of ratios is of a full ResNet-18 without the active set, where every image passes
through every step; the others are of two checkpoints with it. Each side crafts all images,
batch by batch, and has them classified by the network as it was trained; what is done once for a
model is not in the time. On a CPU on one thread, in time of the process, which other processes add
little to.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from engine.data.pictures import Pictures
from engine.devices import describe, resolve
from engine.models.checkpoint import load_model
from engine.models.resnet import PictureClassifier, resnet18
from libraries import PREPARERS, Prepare, named, ours
from parity import BATCH, first_images, floats, right
from runs.threat_model import EVALUATION_PGD, PGD
from timing import one_thread, ratios

CLASSES, WIDTH = 100, 64


def evaluation(
    prepare: Prepare, model: PictureClassifier, pictures: Pictures, spec: PGD
) -> Callable[[], torch.Tensor]:
    """One side: the work attacks all images and counts, and returns bool (N,).

    What is done once for a model, however many images are attacked, is done here.
    """
    craft = prepare(model, spec)

    def work() -> torch.Tensor:
        parts = []
        for cut in torch.arange(len(pictures), device=pictures.images.device).split(BATCH):
            images, labels = floats(pictures, cut)
            found = craft(images, labels, pictures.indices[cut].tolist())
            parts.append(right(model, found, labels))
        return torch.cat(parts)

    return work


def full_size(count: int, device: torch.device) -> tuple[PictureClassifier, Pictures]:
    """A full ResNet-18 as initialised, random images, and the classes that it takes them for."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet18(CLASSES, WIDTH, [0.5] * 3, [0.25] * 3).to(device).eval()
        images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, device=device)
    with torch.no_grad():
        labels = model(images / 255).argmax(dim=1)
    return model, Pictures(images, labels, torch.arange(count, device=device))


def race(
    model: PictureClassifier,
    pictures: Pictures,
    spec: PGD,
    libraries: list[str],
    turns: int,
) -> dict[str, float]:
    """How many times as long as ours each library takes."""
    others = {name: evaluation(PREPARERS[name], model, pictures, spec) for name in libraries}
    mine = evaluation(ours, model, pictures, spec)
    return ratios(mine, others, pictures.images.device, turns)


def correct(model: PictureClassifier, pictures: Pictures) -> Pictures:
    """Those that the model classifies correctly: the only ones that an attack run attacks."""
    everything = torch.arange(len(pictures), device=pictures.images.device)
    images, labels = floats(pictures, everything)
    return pictures.subset(right(model, images, labels).nonzero().flatten())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--natural", type=Path, required=True)
    asked.add_argument("--robust", type=Path, required=True)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--images", type=int, default=250)
    asked.add_argument("--full-size-images", type=int, default=16)
    asked.add_argument("--turns", type=int, default=5)
    asked.add_argument("--device", default="auto")
    given = asked.parse_args()
    with one_thread():
        table(given, resolve(given.device))


def table(given: argparse.Namespace, device: torch.device) -> None:
    """Measure and print."""
    libraries = list(PREPARERS)
    without = EVALUATION_PGD.model_copy(update={"active_set": False})
    columns = [race(*full_size(given.full_size_images, device), without, libraries, given.turns)]
    test = first_images(given.data, given.images).to(device)
    for file in (given.natural, given.robust):
        model = load_model(file, classes=CLASSES)[0].to(device)
        columns.append(race(model, correct(model, test), EVALUATION_PGD, libraries, given.turns))
    print(f"{describe(device)}, torch {torch.__version__}, medians of {given.turns} turns\n")
    print("| library | full ResNet-18, no active set | natural | adversarial |\n|---|---|---|---|")
    for name in libraries:
        cells = [f"{column[name]:.2f}×" for column in columns]
        print(f"| {named(name)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
