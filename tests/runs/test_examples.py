"""What came of an attack on one image, by the definitions of the comparison table."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from fixed_home import write_examples
from runs.examples import Examples, verdict


@pytest.mark.parametrize(
    ("clean", "attacked", "target", "expected"),
    [
        (0, 0, None, "holds"),
        (0, 1, None, "fooled"),
        (1, 1, None, "wrong when clean"),
        (1, 2, None, "wrong when clean"),
        (1, 0, None, "wrong when clean"),  # the attack has turned it right: still no robust image
        (0, 0, 2, "holds"),
        (0, 2, 2, "hit"),
        (0, 1, 2, "missed, but wrong"),
        (1, 2, 2, "wrong when clean"),
        (2, 2, 2, "wrong when clean"),
    ],
)
def test_the_verdict_on_an_image_of_class_0(
    clean: int, attacked: int, target: int | None, expected: str
) -> None:
    assert verdict(0, clean, attacked, target) == expected


def test_the_verdicts_are_counted_as_the_table_counts() -> None:
    """Robust: right clean and attacked. Success: of those right when clean, wrong or the target."""
    for label, clean, attacked in product(range(3), repeat=3):
        for target in (None, *(other for other in range(3) if other != label)):
            word = verdict(label, clean, attacked, target)
            was_right = clean == label
            assert (word == "holds") == (was_right and attacked == label)
            aimed = attacked != label if target is None else attacked == target
            assert (word in ("fooled", "hit")) == (was_right and aimed)
            assert (word == "wrong when clean") == (not was_right)


def test_a_file_of_an_older_run_tells_every_verdict(tmp_path: Path) -> None:
    path = tmp_path / "examples.npz"
    write_examples(path)
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    arrays["clean_predictions"][0, 1] = 2  # the Baseline misreads the second image
    arrays["predictions"][1, 0, 0] = 2  # a third class: neither apple, the label, nor bear
    np.savez_compressed(path, **arrays)
    examples = Examples(path)
    words = [
        [picture.verdict for picture in examples.example(model, number).attacked]
        for model, number in product(range(2), range(3))
    ]
    assert words == [
        ["hit", "fooled"],
        ["wrong when clean", "wrong when clean"],
        ["hit", "fooled"],
        ["missed, but wrong", "fooled"],
        ["holds", "holds"],
        ["holds", "fooled"],
    ]
    assert [examples.example(0, number).is_correct for number in range(3)] == [True, False, True]
