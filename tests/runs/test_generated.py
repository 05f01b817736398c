"""Files of generated images: which are refused before a run is made, and how they are told."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs.errors import NotFoundError, UserError
from runs.footnotes import generated_notes
from runs.generated import check_generated, generated_words
from runs.overrides import override
from runs.spec import TrainSpec


def arrays(count: int = 6, side: int = 32) -> dict[str, Any]:
    return {"image": np.zeros((count, side, side, 3), np.uint8), "label": np.arange(count)}


def saved(path: Path, **content: Any) -> Path:
    np.savez(path, **content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_are_counted(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "made.npz"
    save(path, **arrays())
    assert check_generated(path, "digits") == 6


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"image": np.zeros((6, 3, 32, 32), np.uint8)}, r"uint8 \(6, 3, 32, 32\): uint8 \(M, H"),
        ({"image": np.zeros((6, 32, 32, 3))}, r"is float64 \(6, 32, 32, 3\)"),
        ({"image": np.asfortranarray(arrays()["image"])}, "Fortran order"),
        ({"image": np.array([{}, None])}, "image holds Python objects"),
        ({"label": np.array([{}] * 6)}, "label holds Python objects"),
        ({"label": np.arange(5)}, r"whole numbers \(6,\) are needed"),
        ({"label": np.arange(6.0)}, r"float64 \(6,\)"),
        ({"label": np.arange(6) + 5}, "are 5 to 10: those of digits .* are 0 to 9"),
        ({"label": np.arange(6) - 1}, "are -1 to 4"),
        (arrays(side=64), "have 64×64 pixels, those of digits .* 32×32"),
        (arrays(count=0), "holds no image"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    path = saved(tmp_path / "made.npz", **{**arrays(), **changed})
    with pytest.raises(UserError, match=sentence):
        check_generated(path, "digits")


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        check_generated(tmp_path / "absent.npz", "digits")
    without_labels = saved(tmp_path / "half.npz", image=arrays()["image"])
    other = tmp_path / "other.npz"
    other.write_bytes(pickle.dumps(arrays()))
    for path in (without_labels, other):
        with pytest.raises(UserError, match="is no npz with the arrays image and label"):
            check_generated(path, "digits")


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_leaves_both_kinds_of_images(share: float) -> None:
    with pytest.raises(ValueError, match="leaves no generated or no other image"):
        TrainSpec(generated="/made.npz", generated_share=share)


def test_a_share_without_a_file_is_refused() -> None:
    with pytest.raises(UserError, match="generated_share needs generated images"):
        override(TrainSpec(), {"generated_share": 0.5})
    both = {"generated": "/made.npz", "generated_share": 0.5}
    assert override(TrainSpec(), both).generated_per_batch == 64


def test_a_table_tells_the_generated_images() -> None:
    words = generated_words(1_000_000, 0.7, "1m.npz")
    assert words == "1,000,000 generated images (1m.npz, 70 % of each batch)"
    assert generated_words(None, 0.25, "f") == "generated images (f, 25 % of each batch)"
    rows: Any = [{"model": "Baseline"}] + [
        {"model": model, "generated": words} for model in ("Best clean", "Best robust")
    ]
    table: Any = {"rows": rows, "threat_model": {}}
    assert generated_notes(table) == [f"Best clean, Best robust: trained with {words}"]
