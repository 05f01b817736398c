"""How much memory attacking N images takes above the idle process: bytes, as JSON.

    python tests/benchmarks/memory.py N cpu|cuda FOLDER

Idle is the process when everything is imported and the network and the N images, uint8, are
loaded. What comes above it is the attack's own: floats of a batch, activations, counts.
"""

import json
import resource
import sys
from pathlib import Path

import psutil
import torch

from engine.data.pictures import Pictures
from engine.evaluation.attack_all import attack_all
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.models.resnet import resnet18
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopSignal
from runs.events import EventWriter
from runs.spec import AttackSpec
from runs.store import Store
from runs.threat_model import PGD, standard_attacks

WIDTH, CLASSES, BATCH, STEPS = 16, 100, 250, 2


def pictures(model: torch.nn.Module, count: int) -> Pictures:
    """Random images and what the model takes them for, so that all are attacked."""
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        labels = torch.cat([model(part / 255).argmax(dim=1) for part in images.split(50)])
    return Pictures(images, labels, torch.arange(count))


def main(count: int, device: torch.device, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = resnet18(CLASSES, WIDTH, [0.5] * 3, [0.25] * 3).eval()
    test = pictures(model, count).to(device)
    model = model.to(device)
    spec = AttackSpec(attacks=standard_attacks(PGD(steps=STEPS))[1:], batch_size=BATCH)
    run = Store(folder).create(spec)
    idle = psutil.Process().memory_info().rss
    if device.type == "cuda":
        idle = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    events, stop = EventWriter(run.events_path), StopSignal(run)
    attacker = ModelUnderAttack(model, "random", test, spec, None, RunContext(run, events, stop))
    attacker.classify_clean()
    attack_all(attacker, spec.attacks[0])
    # Linux counts the peak of resident memory in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    print(json.dumps({"above_idle": peak - idle}))


if __name__ == "__main__":
    main(int(sys.argv[1]), torch.device(sys.argv[2]), Path(sys.argv[3]))
