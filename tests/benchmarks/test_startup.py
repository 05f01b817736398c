"""``advtui --help`` costs little more than Typer itself. Ratios and differences in one run."""

import subprocess
import sys
import time

import pytest


def seconds(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-P", *words], check=True, capture_output=True)
    return time.perf_counter() - began


@pytest.mark.slow
def test_help_is_within_150_ms_of_importing_typer() -> None:
    sides = {
        "python -c pass": ("-c", "pass"),
        "import typer": ("-c", "import typer"),
        "advtui --help": ("-m", "tui", "--help"),
    }
    for words in sides.values():
        seconds(*words)  # warm the disk
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(9):
        for name, words in sides.items():
            taken[name].append(seconds(*words))
    best = {name: min(each) for name, each in taken.items()}  # what disturbs only ever adds
    for name, value in best.items():
        print(f"{name}: {value * 1000:.0f} ms, {value / best['python -c pass']:.1f}× pass")
    assert best["advtui --help"] - best["import typer"] <= 0.15
