"""The captions of an attack run's pictures: what came of the attack, whole, at every width."""

from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from fixed_home import write_examples
from runs.examples import Examples
from tui.render.captions import Caption, captions


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Pictures of a model that misreads the first image, and of a target that is missed."""
    path = tmp_path / "examples.npz"
    write_examples(path)
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    arrays["clean_predictions"][0, 0] = 1
    arrays["predictions"][1, 0, 0] = 1
    np.savez_compressed(path, **arrays)
    return path


def of(path: Path, model: int, number: int, width: int = 32) -> list[Caption]:
    return captions(Examples(path).example(model, number), width)


def test_an_image_misread_when_clean_is_never_called_fooled(kept: Path) -> None:
    clean, _, targeted, _, untargeted = of(kept, 0, 0)
    assert clean.details == ("→ aquarium fish 97 %", "wrong when clean")
    assert targeted.details == ("→ bear 72 % wrong when clean",)
    assert untargeted.details == ("→ baby 72 % wrong when clean",)


def test_a_third_class_is_a_miss_and_does_not_hold(kept: Path) -> None:
    assert of(kept, 1, 0)[2].lines == (
        "pgd-targeted → bear",
        "→ aquarium fish 72 %",
        "missed, but wrong",
    )


def test_the_other_verdicts(kept: Path) -> None:
    assert of(kept, 0, 2)[2].details == ("→ apple 72 % hit",)
    assert of(kept, 0, 2)[4].details == ("→ aquarium fish 72 % fooled",)
    assert of(kept, 1, 1)[4].details == ("→ aquarium fish 72 % holds",)


@pytest.mark.parametrize("width", [32, 21])
def test_no_line_is_wider_than_its_picture_and_no_verdict_is_cut(kept: Path, width: int) -> None:
    for model in range(2):
        for number in range(3):
            example = Examples(kept).example(model, number)
            shown = captions(example, width)
            for caption in (shown[0], *shown[2::2]):
                assert all(cell_len(line) <= width for line in caption.lines)
            for attacked, caption in zip(example.attacked, shown[2::2], strict=True):
                assert caption.lines[-1].endswith(attacked.verdict)
