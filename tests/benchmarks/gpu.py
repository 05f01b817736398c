"""The whole study on one CUDA GPU, beside what it should reach, as Markdown tables.

    python tests/benchmarks/gpu.py --data DIR [--home HOME] [--preset poster]

One command of under ten minutes: ``advtui study`` in a new process from command to table, then
``advtui doctor --bench``. All figures are read from what the study has left behind. DIR holds
``cifar-100-python/``.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from runs.store import Run, Store

REACH = {  # seconds, on one H100-class GPU in bf16
    "PGD-10 adversarial training, an epoch": 5.0,
    "standard training, an epoch": 1.0,
    "PGD-20 on the 10,000 test images, best robust": 2.5,
    "study, from command to table": 360.0,
}
ACCURACY = {"Baseline": (76.0, None), "Best clean": (56.0, 26.0), "Best robust": (54.0, 27.0)}
"""Of the preset ``poster``: accuracy and robust accuracy under untargeted PGD-20, in %."""


def advtui(*words: str) -> str:
    """Standard output of the command."""
    command = [sys.executable, "-P", "-m", "tui", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def child(store: Store, role: str) -> Run:
    """The newest study's child of a role."""
    return next(run for run in store.runs() if run.role == role)


def told(what: str, reach: float, found: float, *, less: bool) -> str:
    """A line of a table."""
    met = found <= reach if less else found >= reach
    return f"| {what} | {'≤' if less else '≥'} {reach:g} | {found:.2f} | {'yes' if met else 'no'} |"


def times(store: Store, seconds: float) -> list[str]:
    """What took how long, beside what it may take."""
    baseline, robust = (child(store, role).result or {} for role in ("baseline", "robust"))
    rows = {row["model"]: row for row in (child(store, "attack").result or {})["rows"]}
    pgd = rows["Best robust"]["attacks"]["pgd-untargeted"]["seconds"]
    found = (robust["seconds_per_epoch"], baseline["seconds_per_epoch"], pgd, seconds)
    lines = [told(*one, less=True) for one in zip(REACH, REACH.values(), found, strict=True)]
    for result in (baseline, robust):
        share = f"({100 * result['flop_utilisation']:.0f} % of a matrix product)"
        rate = f"{result['images_per_second']:,.0f} {share}"
        lines.append(f"| {result['mode']}: images/s in training steps | | {rate} | |")
    return ["| seconds | reach | found | |", "|---|---|---|---|", *lines]


def accuracies(rows: list[dict[str, Any]]) -> list[str]:
    """The preset ``poster``'s figures beside what they should reach."""
    lines = ["| % | reach | found | |", "|---|---|---|---|"]
    for row in rows:
        clean, robust = ACCURACY[row["model"]]
        lines.append(told(f"{row['model']}: accuracy", clean, 100 * row["accuracy"], less=False))
        if robust is not None:
            found = 100 * row["attacks"]["pgd-untargeted"]["robust_accuracy"]
            lines.append(told(f"{row['model']}: robust accuracy", robust, found, less=False))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--preset", default="poster")
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="advtui-gpu-"))
    words = ("--preset", asked.preset, "--data-dir", str(asked.data), "--home", str(home))
    began = time.monotonic()
    advtui("study", *words)
    seconds = time.monotonic() - began
    store = Store(home)
    study = next(run for run in store.runs() if run.kind == "study")
    rates = json.loads(advtui("doctor", "--bench", "--json"))
    print(f"{rates['device_name']}, torch {rates['torch']}, {datetime.date.today()}\n")
    print(advtui("compare", study.id, "--format", "markdown"))
    print("\n".join(times(store, seconds)), end="\n\n")
    if asked.preset == "poster":
        print("\n".join(accuracies((study.result or {})["rows"])), end="\n\n")
    print(json.dumps(rates, indent=2))


if __name__ == "__main__":
    main()
