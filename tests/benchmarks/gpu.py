"""The whole study on one CUDA GPU, beside what it should reach, as Markdown tables.

    python tests/benchmarks/gpu.py --data DIR [--home HOME] [--preset poster]

One command of under ten minutes: ``advtui study`` in a new process from command to table, then
``advtui doctor --bench``. All figures are read from what the study has left behind. DIR holds
``cifar-100-python/``. A study that was cut off goes on where HOME names its home: ``strong`` may
take several calls.
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from runs.snapshot import read_snapshot
from runs.store import Run, Store

CHILDREN = ("baseline", "robust", "attack")
REACH = {  # seconds, on one H100-class GPU in bf16
    "PGD-10 adversarial training, an epoch": 5.0,
    "standard training, an epoch": 1.0,
    "PGD-20 on the 10,000 test images, best robust": 2.5,
}
STUDY = {"poster": 360.0, "strong": 2400.0}
"""Seconds of each preset's study, from command to table."""
ACCURACY = {
    "poster": {"Baseline": (76.0, None), "Best clean": (56.0, 26.0), "Best robust": (56.0, 29.0)},
    "strong": {"Baseline": (78.7, None), "Best clean": (62.0, 29.0), "Best robust": (60.0, 33.5)},
}
"""Of each preset: accuracy and robust accuracy under untargeted PGD-20, in %. That of ``strong``
under AutoAttack, at least 28, is a command of its own: ``advtui attack``."""


def advtui(*words: str) -> str:
    """Standard output of the command."""
    command = [sys.executable, "-P", "-m", "tui", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def child(store: Store, role: str) -> Run:
    """The newest study's child of a role."""
    return next(run for run in store.runs() if run.role == role)


def result(run: Run) -> Any:
    """The result of a run that has ended; empty of one that has none."""
    return run.result or {}


def at_one_eps(row: Any) -> Any:
    """Counts and time of untargeted PGD-20 in a row of a result with one ε."""
    (cell,) = row["attacks"]["pgd-untargeted"]
    return cell


def told(what: str, reach: float, found: float, *, less: bool) -> str:
    """A line of a table."""
    met = found <= reach if less else found >= reach
    return f"| {what} | {'≤' if less else '≥'} {reach:g} | {found:.2f} | {'yes' if met else 'no'} |"


def where(run: Run) -> str:
    """The device and the versions that a run was carried out with."""
    started: Any = read_snapshot(run).started
    versions = ", ".join(f"{name} {version}" for name, version in started["versions"].items())
    return f"{started['device_name']}, {started['precision']}; {versions}"


def times(store: Store, preset: str, seconds: float | None) -> list[str]:
    """What took how long, beside what it may take; ``seconds`` of the study, if it ran at once."""
    baseline, robust, attack = (result(child(store, role)) for role in CHILDREN)
    rows = {row["model"]: row for row in attack["rows"]}
    seconds_of_pgd = at_one_eps(rows["Best robust"])["seconds"]
    found = (robust["seconds_per_epoch"], baseline["seconds_per_epoch"], seconds_of_pgd)
    lines = [told(*one, less=True) for one in zip(REACH, REACH.values(), found, strict=True)]
    if seconds is not None:
        lines.append(told("study, from command to table", STUDY[preset], seconds, less=True))
    for training in (baseline, robust):
        share = f"({100 * training['flop_utilisation']:.0f} % of a matrix product)"
        rate = f"{training['images_per_second']:,.0f} {share}"
        lines.append(f"| {training['mode']}: images/s in training steps | | {rate} | |")
    return ["| seconds | reach | found | |", "|---|---|---|---|", *lines]


def accuracies(rows: list[Any], preset: str) -> list[str]:
    """The preset's figures beside what they should reach."""
    lines = ["| % | reach | found | |", "|---|---|---|---|"]
    for row in rows:
        clean, robust = ACCURACY[preset][row["model"]]
        lines.append(told(f"{row['model']}: accuracy", clean, 100 * row["accuracy"], less=False))
        if robust is not None:
            found = 100 * at_one_eps(row)["robust_accuracy"]
            lines.append(told(f"{row['model']}: robust accuracy", robust, found, less=False))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--preset", default="poster", choices=STUDY)
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="advtui-gpu-"))
    words = ("--preset", asked.preset, "--data-dir", str(asked.data), "--home", str(home))
    store = Store(home)
    begun = next((run for run in store.runs() if run.kind == "study"), None)
    began = time.monotonic()
    if begun is None:
        advtui("study", *words)
    elif begun.state() != "completed":
        advtui("resume", begun.id, "--home", str(home))
    seconds = None if begun else time.monotonic() - began
    study = next(run for run in store.runs() if run.kind == "study")
    print(f"{asked.preset}, {where(child(store, 'robust'))}, {datetime.date.today()}\n")
    print(advtui("compare", study.id, "--format", "markdown", "--home", str(home)))
    print("\n".join(times(store, asked.preset, seconds)), end="\n\n")
    rows = result(study)["rows"]
    print("\n".join(accuracies(rows, asked.preset)), end="\n\n", flush=True)
    print(advtui("doctor", "--bench", "--json"))  # last: it may be cut off


if __name__ == "__main__":
    main()
