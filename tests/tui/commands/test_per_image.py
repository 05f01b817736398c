"""What an attack run has kept of single images, on the command line."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import tui.commands.per_image
from fixed_home import NOW, build
from runs.errors import NotFoundError, UserError
from runs.outcomes import FILE, Outcomes
from runs.store import Store
from tui.commands.per_image import attack_run, show_classes, show_examples

QUIET: dict[str, Any] = {"force_terminal": True, "file": io.StringIO()}


@pytest.fixture
def ids(home: Path) -> dict[str, str]:
    """A home whose attack run knows what became of each image."""
    ids = build(home, NOW)
    labels = np.repeat(np.arange(3, dtype=np.int16), 10)
    clean = labels.copy()
    clean[::10] = (clean[::10] + 1) % 3  # one of each class is wrong when clean
    robust = clean.copy()
    robust[1:8] = 2  # the first class breaks most
    robust[11:13] = 0
    Outcomes(
        labels,
        np.arange(30),
        ["apple", "bear", "[/cup]"],
        {"Baseline": clean, "Best robust": clean},
        {
            ("Baseline", "pgd-untargeted"): clean * 0,
            ("Best robust", "pgd-targeted"): clean,
            ("Best robust", "pgd-untargeted"): robust,
        },
    ).save(home / "runs" / ids["attack"] / FILE)
    return ids


def test_a_study_and_a_trained_run_mean_their_evaluation(home: Path, ids: dict[str, str]) -> None:
    store = Store(home)
    for word in ("attack", "study", "robust"):
        assert attack_run(store, ids[word]).id == ids["attack"]
    with pytest.raises(NotFoundError, match="has no evaluation yet"):
        attack_run(store, ids["failed"])


def test_the_weakest_class_comes_first(
    home: Path, ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    show_classes(ids["study"], home, None, None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Best robust under pgd-untargeted, the weakest class first"
    rows = [line.split() for line in lines[3:] if line.strip()]
    assert rows[0][:5] == ["apple", "10", "90.0", "77.8", "20.0"]
    assert rows[0][5:] == ["[/cup]", "(7)"]
    assert [row[0] for row in rows] == ["apple", "bear", "[/cup]"]


def test_as_json_every_model_and_attack(
    home: Path, ids: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    show_classes(ids["attack"], home, None, None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == ids["attack"]
    assert [(one["model"], one["attack"]) for one in found["per_class"]] == [
        ("Baseline", "pgd-untargeted"),
        ("Best robust", "pgd-targeted"),
        ("Best robust", "pgd-untargeted"),
    ]
    apple = found["per_class"][2]["classes"][0]
    assert (apple["n"], apple["correct_k"], apple["broken_k"]) == (10, 9, 7)
    show_classes(ids["attack"], home, "Baseline", None, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["per_class"]) == 1


def test_a_model_or_a_run_that_is_not_there(home: Path, ids: dict[str, str]) -> None:
    with pytest.raises(UserError, match="there are Baseline: pgd-untargeted; Best robust"):
        show_classes(ids["attack"], home, "Nobody", None, as_json=False)
    with pytest.raises(UserError, match="no model 'Nobody'"):
        show_examples(ids["attack"], home, "Nobody", 1, None)
    (home / "runs" / ids["attack"] / FILE).unlink()
    with pytest.raises(NotFoundError, match="attack again to have them"):
        show_classes(ids["attack"], home, None, None, as_json=False)


def test_pictures_stand_side_by_side_with_what_they_are_taken_for(
    home: Path, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(width=180, record=True, color_system="truecolor", **QUIET)
    monkeypatch.setattr(tui.commands.per_image, "stdout_console", lambda: console)
    show_examples(ids["attack"], home, "Best robust", 2, None)
    told = console.export_text().splitlines()
    assert sum("as seen by Best robust" in line for line in told) == 2
    blocks = [line for line in told if "▀" in line]
    assert len(blocks) == 2 * 16
    assert all(line.count("▀") == 5 * 32 for line in blocks)  # clean, and two of each attack
    assert any("pgd-targeted → " in line and "pgd-untargeted" in line for line in told)


@pytest.mark.parametrize("width", [80, 40])
def test_pictures_in_a_narrow_terminal_stand_below_each_other(
    home: Path, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    console = Console(width=width, record=True, color_system="truecolor", **QUIET)
    monkeypatch.setattr(tui.commands.per_image, "stdout_console", lambda: console)
    show_examples(ids["attack"], home, "Best robust", 1, None)
    blocks = sum(line.count("▀") for line in console.export_text().splitlines())
    assert blocks == 5 * 32 * 16


def test_in_a_pipe_it_names_the_way_out(home: Path, ids: dict[str, str]) -> None:
    with pytest.raises(UserError, match="--png FILE writes them"):
        show_examples(ids["attack"], home, None, 1, None)


def test_as_a_png(home: Path, ids: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "pictures.png"
    show_examples(ids["attack"], home, None, 2, path)
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape[2] == 3
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100  # pictures, not a blank sheet
    with np.load(home / "runs" / ids["attack"] / "examples.npz") as kept:
        clean = kept["images"][0].transpose(1, 2, 0)
    large = clean.repeat(4, axis=0).repeat(4, axis=1)
    top = next(
        y for y in range(len(pixels) - 128) if np.array_equal(pixels[y : y + 128, 12:140], large)
    )
    assert top < 70
