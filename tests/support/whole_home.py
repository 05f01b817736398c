"""A home of whole runs in every state, copied quickly, and the commands that read runs."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from fixed_home import NOW, build
from runs.outcomes import Outcomes

READING = (
    ("runs",),
    ("runs", "--json"),
    ("show", "RUN"),
    ("show", "RUN", "--json"),
    ("logs", "RUN"),
    ("compare", "RUN"),
    *(("compare", "RUN", "--format", name) for name in ("markdown", "latex", "csv", "json")),
    ("verify", "RUN"),
    ("verify", "RUN", "--json"),
    ("classes", "RUN"),
    ("classes", "RUN", "--json"),
    ("examples", "RUN", "--png", "PNG"),
)
"""Every command that reads runs."""


@cache
def _template() -> tuple[Path, dict[str, str]]:
    """The home, built once, and its runs by what they are."""
    home = Path(mkdtemp(prefix="advtui-home-"))
    ids = build(home, NOW)
    attack = home / "runs" / ids["attack"]
    models, labels = ("Baseline", "Best clean", "Best robust"), np.array([0, 1, 2, 0], np.int16)
    attacked = np.array([0, 2, 1, 0], np.int16)
    pairs = [(model, name) for model in models for name in ("pgd-targeted", "pgd-untargeted")]
    Outcomes(
        labels=labels,
        indices=np.arange(4),
        classes=["apple", "bear", "cup"],
        clean=dict.fromkeys(models, labels),
        attacked=dict.fromkeys(pairs, attacked),
    ).save(attack / "outcomes.npz")
    return home, ids


def copy_home(home: Path) -> dict[str, str]:
    """A whole home at this place; returns the runs' ids by what they are."""
    template, ids = _template()
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    return ids
