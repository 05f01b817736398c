"""Recipes side by side in equal time, judged on the validation split, as a Markdown table.

    python tests/benchmarks/ablation.py --data DIR [--home HOME] [NAME…]

Each candidate is the robust part of the preset ``cpu`` (ResNet-18 of width 16, CIFAR-100) on a
quarter of the training images, with as many epochs as take four to five minutes on two CPU cores.
The last one is Rice et al.'s (2020) recipe, which most published figures of PGD adversarial
training go back to. DIR holds ``cifar-100-python/``. Nothing else should work on the machine
meanwhile.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMON = ("--preset", "cpu", "--mode", "robust", "--train-limit", "12000")
STEPS_OF_RICE = ("--steps", "10", "--step-size", "2/255")
CANDIDATES = {
    "pgd-at, PGD-3": ("--recipe", "pgd-at", "--epochs", "4"),
    "fast (N-FGSM)": ("--recipe", "fast", "--epochs", "7"),
    "trades, PGD-3": ("--recipe", "trades", "--epochs", "3"),
    "Rice et al.: pgd-at, PGD-10, steps of lr": (
        *(
            "--recipe",
            "pgd-at",
            "--epochs",
            "2",
            "--schedule",
            "piecewise",
            "--lr",
            "0.1",
            "--ema-decay",
            "0",
        ),
        *STEPS_OF_RICE,
    ),
}


def trained(words: tuple[str, ...], data: Path, home: Path) -> dict[str, Any]:
    """The result of ``advtui train``, with the validation accuracies of its best robust epoch."""
    command = [sys.executable, "-P", "-m", "tui", "train", *COMMON, *words, "--json"]
    command += ["--data-dir", str(data), "--home", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    *events, result = map(json.loads, done.stdout.splitlines())
    epochs = [e["values"] for e in events if e["kind"] == "metric" and e["every"] == "epoch"]
    return {**result, "best": max(epochs, key=lambda values: values["val_robust_accuracy"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CANDIDATES))
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="advtui-ablation-"))
    print("| recipe | epochs | minutes | accuracy | robust accuracy | a minute |")
    print("|---|---|---|---|---|---|")
    for name in asked.names or CANDIDATES:
        found = trained(CANDIDATES[name], asked.data, home)
        minutes = found["fit_seconds"] / 60
        clean, robust = (
            100 * found["best"][key] for key in ("val_accuracy", "val_robust_accuracy")
        )
        row = (name, found["epochs"], f"{minutes:.1f}", f"{clean:.1f}", f"{robust:.1f}")
        print("|", *(f"{cell} |" for cell in (*row, f"{robust / minutes:.2f}")), flush=True)


if __name__ == "__main__":
    main()
