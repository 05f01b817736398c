"""``python -P -m engine.bench``: how fast this machine is, and how long each preset takes.

Prints one JSON object. Measures what training and evaluation are made of, at the widths of the
presets: a forward pass of the network as attacked, a step of an attack on it, and a whole training
step.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from engine.attacks.pgd import pgd
from engine.devices import autocast_dtype, describe, matmul_rate, resolve, synchronize
from engine.models.batchnorm_folding import Folded
from engine.models.resnet import resnet18
from engine.training.compiled_passes import TrainingPasses, is_wanted
from engine.training.flops import LEFT, Costs, PassCounts, costs, passes, validation_passes
from runs.datasets import DATASETS
from runs.errors import UserError
from runs.presets import NAMES, preset
from runs.spec import Activation, StudySpec, TrainSpec
from runs.threat_model import PGD

LONGEST_PASS_S = 1.0
"""A batch is made smaller where a training step on it would take longer."""
TURNS, PATIENCE_S = 5, 4.0
START_S = {"cpu": 12.0, "cuda": 20.0}
"""From a run's command to its first step and from its last to its end."""


class Rates(NamedTuple):
    """Images a second."""

    forward: float
    attack: float
    """Forward and input gradient, as a training crafts."""
    descent: float
    search: float
    """Forward and input gradient, as validations and attack runs search: never compiled."""

    def training(self, passes: PassCounts) -> float:
        """Seconds an image of a training step takes."""
        return sum(count / rate for count, rate in zip(passes, self[:3], strict=True))

    def evaluation(self, passes: PassCounts) -> float:
        """Seconds an image of a validation or an attack run takes."""
        return self._replace(attack=self.search).training(passes)


class Shape(NamedTuple):
    """What decides how fast a pass is."""

    classes: int
    width: int
    batch_size: int
    precision: str
    activation: Activation


def shape_of(spec: TrainSpec) -> Shape:
    """The passes of a training."""
    return Shape(
        DATASETS[spec.data].classes,
        spec.width,
        spec.batch_size,
        spec.precision,
        spec.activation,
    )


def measure(
    shape: Shape,
    device: torch.device,
    rate: float,
    *,
    compiling: bool,
    at_most: int = sys.maxsize,
) -> dict[str, Any]:
    """Rates of the kinds of passes at one shape; ``rate`` is that of a matrix product.

    Where nothing can be compiled they are those of passes that are not, and where memory runs out
    those of half as many images, ``at_most``: as in a training.
    """
    cost = costs(shape.classes, shape.width)
    # A third of that rate is what a small CPU reaches.
    fits = int(LONGEST_PASS_S * rate / 3 / cost.descent)
    count = max(2, min(shape.batch_size, fits, at_most))
    normal = ([0.5] * 3, [0.25] * 3)
    model = resnet18(shape.classes, shape.width, *normal, shape.activation).to(device)
    images = torch.rand(count, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(shape.classes, (count,), device=device)
    once = PGD(steps=1, random_start=False)
    frozen = Folded(model).network
    ways = (
        TrainingPasses(model, frozen).compiled(device)
        if compiling
        else TrainingPasses(model, frozen)
    )
    optimiser = torch.optim.SGD(
        model.parameters(), lr=1e-6, momentum=0.9, fused=device.type == "cuda" or None
    )

    def forward() -> None:
        with torch.no_grad():
            frozen(images)

    def search() -> None:
        pgd(frozen, images, labels, once, keep="last")

    def attack() -> None:
        pgd(frozen, images, labels, once, keep="last", ascend=ways.ascend)

    def descent() -> None:
        optimiser.zero_grad()
        loss: Any = F.cross_entropy(ways.trained(images), labels)
        loss.backward()
        optimiser.step()

    dtype = autocast_dtype(shape.precision, device)
    works = {"forward": forward, "attack": attack, "descent": descent}
    works |= {"search": search} if compiling else {}
    seconds = {}
    try:
        for name, work in works.items():
            # No cache, as in a training: what it keeps is stale after a step.
            with torch.autocast(device.type, dtype, enabled=dtype is not None, cache_enabled=False):
                seconds[name] = _median_s(work, device)
    except torch.OutOfMemoryError:
        if count <= 2:
            raise UserError("out of memory, even with 2 images at a time") from None
        smaller = count // 2
    except Exception:
        if not compiling:
            raise
        return measure(shape, device, rate, compiling=False)
    else:
        return _told(shape, count, seconds, cost, compiled=compiling, bf16=dtype is not None)
    return measure(shape, device, rate, compiling=compiling, at_most=smaller)


def _told(
    shape: Shape,
    count: int,
    seconds: dict[str, float],
    cost: Costs,
    *,
    compiled: bool,
    bf16: bool,
) -> dict[str, Any]:
    seconds.setdefault("search", seconds["attack"])
    rates = Rates(**{name: count / s for name, s in seconds.items()})
    return {
        **shape._asdict(),
        "precision": "bf16" if bf16 else "fp32",
        "compiled": compiled,
        "images": count,
        "rates": rates._asdict(),
        "flops_per_second": {
            name: rate * (cost.attack if name == "search" else getattr(cost, name))
            for name, rate in rates._asdict().items()
        },
    }


def _median_s(work: Callable[[], None], device: torch.device) -> float:
    def timed() -> float:
        began = time.perf_counter()
        work()
        synchronize(device)
        return time.perf_counter() - began

    for _ in range(3 if device.type == "cuda" else 1):  # compiles, chooses kernels
        timed()
    turns, began = [timed()], time.perf_counter()
    while len(turns) < TURNS or (device.type == "cuda" and len(turns) < 30):
        if time.perf_counter() - began > PATIENCE_S:
            break
        turns.append(timed())
    return statistics.median(turns)


def training_s(spec: TrainSpec, rates: Rates) -> float:
    """Seconds of a training: its steps, and the validation after each epoch."""
    dataset = DATASETS[spec.data]
    held_out = spec.val_per_class * dataset.classes
    images = min(dataset.train_images - held_out, spec.train_limit or sys.maxsize)
    images -= images % spec.batch_size
    steps = images * rates.training(passes(spec))
    return spec.epochs * (steps + held_out * rates.evaluation(validation_passes(spec)))


def study_s(spec: StudySpec, rates: dict[Shape, Rates], device: torch.device) -> dict[str, float]:
    """Seconds of a study's parts, sanity panels and compiling aside."""
    parts = {}
    for name in ("baseline", "robust"):
        child = spec.child(name)
        assert isinstance(child, TrainSpec)
        parts[name] = training_s(child, rates[shape_of(child)]) + START_S[device.type]
    assert isinstance(child, TrainSpec)
    rate = rates[shape_of(child)]
    count = min(DATASETS[child.data].test_images, spec.attack.limit or sys.maxsize)
    steps = sum(one.pgd.steps * one.pgd.restarts for one in spec.attack.attacks)
    models = 3
    attack = models * count * rate.evaluation(PassCounts(3, LEFT * steps, 0))
    return {**parts, "attack": attack + START_S[device.type]}


def bench(device: torch.device, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Everything that ``advtui doctor --bench`` shows."""
    studies = {name: preset(name) for name in names}
    dtypes = {"auto": autocast_dtype("auto", device), "fp32": None}
    peaks = {name: matmul_rate(device, dtype or torch.float32) for name, dtype in dtypes.items()}
    measured: dict[Shape, dict[str, Any]] = {}
    for study in studies.values():
        for name in ("baseline", "robust"):
            spec = study.child(name)
            assert isinstance(spec, TrainSpec)
            shape = shape_of(spec)
            if shape not in measured:
                rate = peaks[shape.precision]
                found = measure(shape, device, rate, compiling=is_wanted(spec, device))
                measured[shape] = {**found, "matmul_flops_per_second": rate}
    rates = {shape: Rates(**found["rates"]) for shape, found in measured.items()}
    return {
        "device": str(device),
        "device_name": describe(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "passes": list(measured.values()),
        "presets": {name: study_s(study, rates, device) for name, study in studies.items()},
    }


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -P -m engine.bench", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--preset", action="append", choices=NAMES)
    asked = parser.parse_args(words)
    if asked.threads is not None:
        torch.set_num_threads(asked.threads)
    try:
        device = resolve(asked.device)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(bench(device, tuple(asked.preset or NAMES))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
