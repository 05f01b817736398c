"""Accuracy on corrupted images: counted by severity, kept by a resumed run, refused where unfit."""

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from engine.evaluation.corruptions import compare_labels, corrupted_accuracy
from engine.evaluation.model_under_attack import ModelUnderAttack
from engine.process.run_context import RunContext
from engine.process.stop_signal import StopRequested, StopSignal
from runs.corruptions import LABELS, NAMES, check_corruptions
from runs.datasets import DATASETS
from runs.errors import NotFoundError, UserError
from runs.events import EventWriter
from runs.formats import FORMATS
from runs.results import row
from runs.snapshot import read_snapshot
from runs.spec import AttackSpec, TrainSpec
from runs.store import Run, Store
from tiny_classifier import COUNT, model, pictures

N = COUNT + 10
"""Images of the split: more than are evaluated."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole layout: clean images at severity 1 and 2, black ones from 3 on."""
    small = dataclasses.replace(DATASETS["cifar10"], test_images=N, classes=11)
    monkeypatch.setitem(DATASETS, "cifar10", small)
    test = pictures()
    images = np.zeros((5, N, 32, 32, 3), np.uint8)
    images[:2, :COUNT] = test.images.permute(0, 2, 3, 1).numpy()
    labels = np.zeros(N, np.uint8)
    labels[:COUNT] = test.labels.numpy()
    made = tmp_path / "CIFAR-10-C"
    made.mkdir()
    for name in (*NAMES, "spatter"):  # one that does not belong to the 15
        np.save(made / f"{name}.npy", images.reshape(-1, 32, 32, 3))
    np.save(made / LABELS, np.tile(labels, 5))
    return made


class StopAfter:
    """Requests a stop at the check of this number; 0: never."""

    def __init__(self, number: int) -> None:
        self._left = number

    def check(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise StopRequested


def attempt(run: Run, folder: Path, stop: int = 0) -> Any:
    spec = AttackSpec(data="cifar10", corruptions=str(folder), batch_size=16)
    events = EventWriter(run.events_path)
    context = RunContext(run, events, cast(StopSignal, StopAfter(0)))
    one = ModelUnderAttack(model(), "M", pictures(), spec, None, context)
    one.classify_clean()
    one.context = dataclasses.replace(context, stop=cast(StopSignal, StopAfter(stop)))
    finished = {name: e["correct"] for (_, name), e in read_snapshot(run).corruptions.items()}
    try:
        return corrupted_accuracy(one, folder, finished)
    finally:
        events.close()


def test_each_severity_has_its_accuracy_and_a_resumed_run_keeps_what_it_had(
    folder: Path, home: Path
) -> None:
    check_corruptions(folder, "cifar10")
    compare_labels(folder, pictures(), "cifar10")
    whole = attempt(Store(home).create(TrainSpec()), folder)
    with torch.no_grad():
        black = model()(torch.zeros(1, 3, 32, 32)).argmax()
    on_black = float((pictures().labels == black).float().mean())
    assert whole["n"] == COUNT
    assert list(whole["accuracy"]) == list(NAMES)
    for levels in whole["accuracy"].values():
        assert levels == pytest.approx([0.9, 0.9, on_black, on_black, on_black])
    assert whole["mean_accuracy"] == pytest.approx((1.8 + 3 * on_black) / 5)

    cut = Store(home).create(TrainSpec())
    with pytest.raises(StopRequested):
        attempt(cut, folder, stop=30)  # 13 batches a corruption
    assert len(read_snapshot(cut).corruptions) == 2
    for name in NAMES[:2]:
        (folder / f"{name}.npy").unlink()
    assert attempt(cut, folder) == whole


def test_every_format_has_the_column_and_the_definition(folder: Path, home: Path) -> None:
    found = attempt(Store(home).create(TrainSpec()), folder)
    fields: dict[str, Any] = {"run": None, "checkpoint": None, "attacks": {}}
    rows = [
        row(model="A", n=COUNT, correct=36, corruptions=found, **fields),
        row(model="B", n=COUNT, correct=30, **fields),
    ]
    threat: Any = {"data": "CIFAR-10", "n": COUNT, "attacks": []}
    mean = f"{100 * found['mean_accuracy']:.2f}"
    texts = {name: write({"threat_model": threat, "rows": rows}) for name, write in FORMATS.items()}
    assert f"| A | 90.00 [76.9, 96.0] | {mean} |" in texts["markdown"]
    assert f"A & 90.00 & {mean} \\\\" in texts["latex"]
    assert "corrupted_accuracy" in texts["csv"].splitlines()[0]
    for name in ("markdown", "latex"):
        assert "mean accuracy over 15 corruptions × 5 severities" in texts[name]
    without = {
        name: write({"threat_model": threat, "rows": rows[1:]}) for name, write in FORMATS.items()
    }
    assert not any("orrupt" in text for text in without.values())


def saved(name: str, array: Any) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, array)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "fog.npy").unlink(), "lacks fog.npy: --corruptions names"),
        (lambda f: (f / LABELS).unlink(), "lacks labels.npy"),
        (saved("fog.npy", np.zeros((9, 32, 32, 3), np.uint8)), r"uint8 \(9, 32, 32, 3\): uint8"),
        (saved("fog.npy", np.zeros((5 * N, 32, 32, 3), np.float32)), "is float32"),
        (saved("fog.npy", np.array([{}], dtype=object)), "holds Python objects"),
        (lambda f: (f / "fog.npy").write_bytes(pickle.dumps(())), "is no plain npy array"),
        (lambda f: (f / "fog.npy").write_bytes((f / "fog.npy").read_bytes()[:-1]), "is cut off"),
        (saved(LABELS, np.zeros(5 * N)), "is float64"),
        (saved(LABELS, np.full(5 * N, 11)), "are 11 to 11: those of CIFAR-10 are 0 to 10"),
        (saved(LABELS, np.repeat(np.arange(5), N)), "not the same at each of the 5"),
    ],
)
def test_a_folder_that_does_not_fit_is_told(
    folder: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(folder)
    with pytest.raises((NotFoundError, UserError), match=sentence):
        check_corruptions(folder, "cifar10")


def test_other_data_other_labels_and_relative_paths_are_told(folder: Path) -> None:
    with pytest.raises(UserError, match="of cifar10 and cifar100 alone: data is digits"):
        check_corruptions(folder, "digits")
    with pytest.raises(NotFoundError, match="there is no folder"):
        check_corruptions(folder / "absent", "cifar10")
    np.save(folder / LABELS, np.zeros(5 * N, np.uint8))
    check_corruptions(folder, "cifar10")
    with pytest.raises(UserError, match=r"labels of .* differ from those of the test split"):
        compare_labels(folder, pictures(), "cifar10")
    with pytest.raises(ValueError, match="no absolute path"):
        AttackSpec(corruptions="here")
