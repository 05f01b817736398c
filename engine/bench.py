"""``python -P -m engine.bench``: how fast this machine is, and how long each preset takes.

Measures the parts of training and evaluation at the widths of the presets: a forward pass of the
attacked network, a step of an attack on it, and a whole training step. Prints one JSON object.
Knows nothing about runs and the tables of the command line.
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
from engine.process.out_of_memory import is_out_of_memory
from engine.training.compiled_passes import TrainingPasses, is_wanted
from engine.training.flops import Costs, costs
from runs.datasets import DATASETS
from runs.errors import UserError
from runs.passes import ACTIVE_SHARE, PassCounts, epoch_images, passes, validation_passes
from runs.presets import NAMES, preset
from runs.spec import Activation, StudySpec, TrainSpec
from runs.threat_model import PGD

LONGEST_STEP_S = 1.0
"""The batch is made smaller if a training step would take longer than this many seconds."""
REPETITIONS = {"cpu": 5, "cuda": 30}
"""Number of timed calls, unless they take longer than ``LONGEST_MEASUREMENT_S``."""
LONGEST_MEASUREMENT_S = 4.0
START_AND_END_S = {"cpu": 12.0, "cuda": 20.0}
"""Seconds from the command to the first step of a run, and from its last step to its end."""


class Rates(NamedTuple):
    """Images a second."""

    forward: float
    """Forward passes."""
    attack: float
    """Forward and input gradient, as in the attacks of a training; compiled where possible."""
    descent: float
    """Forward and the gradients of all weights, with the optimiser's step."""
    search: float
    """Forward and input gradient, as in the attacks of an evaluation; never compiled."""

    def training(self, passes: PassCounts) -> float:
        """Seconds for an image of a training step."""
        return sum(count / rate for count, rate in zip(passes, self[:3], strict=True))

    def evaluation(self, passes: PassCounts) -> float:
        """Seconds for an image of a validation or an attack run."""
        return self._replace(attack=self.search).training(passes)


class Shape(NamedTuple):
    """The properties of a training that its speed depends on."""

    classes: int
    width: int
    batch_size: int
    precision: str
    activation: Activation


def shape_of(spec: TrainSpec) -> Shape:
    """The shape of a training."""
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
    """Measure the rates of all kinds of passes at one shape; return them as a JSON object.

    As in a training, passes are measured uncompiled if compiling fails, and with half as many
    images if memory runs out.

    Args:
        shape: classes, width, batch size, precision and activation.
        device: the device to measure.
        rate: FLOP/s of a matrix product on the device.
        compiling: compile the passes of a training step.
        at_most: images in a batch, at most.

    Raises:
        UserError: out of memory, even with 2 images at a time.
    """
    mean, std = [0.5] * 3, [0.25] * 3
    model = resnet18(shape.classes, shape.width, mean, std, shape.activation)
    cost = costs(model)
    # A small CPU reaches a third of the rate of a matrix product.
    fitting = int(LONGEST_STEP_S * rate / 3 / cost.descent)
    count = max(2, min(shape.batch_size, fitting, at_most))
    model = model.to(device)
    images = torch.rand(count, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(shape.classes, (count,), device=device)
    one_step = PGD(steps=1, random_start=False)
    frozen = Folded(model).network
    training = TrainingPasses(model, frozen)
    if compiling:
        training = training.compiled(device)
    optimiser = torch.optim.SGD(
        model.parameters(), lr=1e-6, momentum=0.9, fused=device.type == "cuda" or None
    )

    def forward() -> None:
        with torch.no_grad():
            frozen(images)

    def search() -> None:
        pgd(frozen, images, labels, one_step, keep="last")

    def attack() -> None:
        pgd(
            frozen,
            images,
            labels,
            one_step,
            keep="last",
            gradient_step=training.gradient_step,
        )

    def descent() -> None:
        optimiser.zero_grad()
        loss: Any = F.cross_entropy(training.trained(images), labels)
        loss.backward()
        optimiser.step()

    dtype = autocast_dtype(shape.precision, device)
    kinds = {"forward": forward, "attack": attack, "descent": descent}
    kinds |= {"search": search} if compiling else {}
    seconds = {}
    try:
        for name, work in kinds.items():
            # No cache, as in a training: cached weights are outdated after a step.
            with torch.autocast(device.type, dtype, enabled=dtype is not None, cache_enabled=False):
                seconds[name] = _median_s(work, device)
    except Exception as error:
        if not is_out_of_memory(error):
            if not compiling:
                raise
            return measure(shape, device, rate, compiling=False)
        if count <= 2:
            raise UserError(
                "out of memory, even with 2 images at a time: choose a device with more free memory"
            ) from None
        smaller = count // 2
    else:
        return _measurement(shape, count, seconds, cost, compiled=compiling, bf16=dtype is not None)
    return measure(shape, device, rate, compiling=compiling, at_most=smaller)


def _measurement(
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
    seconds, began = [timed()], time.perf_counter()
    while len(seconds) < REPETITIONS[device.type]:
        if time.perf_counter() - began > LONGEST_MEASUREMENT_S:
            break
        seconds.append(timed())
    return statistics.median(seconds)


def training_s(spec: TrainSpec, rates: Rates) -> float:
    """Seconds of a training: its steps, and the validation after each epoch; without start and end.

    ``rates`` are those of its shape.
    """
    images, held_out = epoch_images(spec)
    steps = images * rates.training(passes(spec))
    return spec.epochs * (steps + held_out * rates.evaluation(validation_passes(spec)))


def study_s(spec: StudySpec, rates: dict[Shape, Rates], device: torch.device) -> dict[str, float]:
    """Seconds of each part of a study, without sanity panels and compiling.

    ``rates`` holds the rates of the shapes of both trainings.
    """
    parts = {}
    for name in ("baseline", "robust"):
        child = spec.child(name)
        assert isinstance(child, TrainSpec)
        parts[name] = training_s(child, rates[shape_of(child)]) + START_AND_END_S[device.type]
    assert isinstance(child, TrainSpec)
    rate = rates[shape_of(child)]
    count = min(DATASETS[child.data].test_images, spec.attack.limit or sys.maxsize)
    steps = sum(attack.pgd.steps * attack.pgd.restarts for attack in spec.attack.attacks)
    models = 3
    seconds = models * count * rate.evaluation(PassCounts(3, ACTIVE_SHARE * steps, 0))
    return {**parts, "attack": seconds + START_AND_END_S[device.type]}


def bench(device: torch.device, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """The measurements that ``advtui doctor --bench`` shows, as a JSON object.

    Raises:
        UserError: out of memory, even with 2 images at a time.
    """
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
                measurement = measure(shape, device, rate, compiling=is_wanted(spec, device))
                measured[shape] = {**measurement, "matmul_flops_per_second": rate}
    rates = {shape: Rates(**measurement["rates"]) for shape, measurement in measured.items()}
    return {
        "device": str(device),
        "device_name": describe(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "passes": list(measured.values()),
        "presets": {name: study_s(study, rates, device) for name, study in studies.items()},
    }


def main(arguments: list[str]) -> int:
    """Print the measurements as one line of JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -P -m engine.bench", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--preset", action="append", choices=NAMES)
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        device = resolve(options.device)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(bench(device, tuple(options.preset or NAMES))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
