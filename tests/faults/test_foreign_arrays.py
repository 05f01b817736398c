"""Arrays of another shape, type or range in ``outcomes.npz`` and ``examples.npz`` are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_in_process import advtui
from whole_home import copy_home

OUTCOMES: dict[str, tuple[str, Any]] = {
    "labels of two dimensions": ("labels", np.zeros((2, 2), np.int16)),
    "labels that are texts": ("labels", np.array(["a", "b", "c", "d"])),
    "a label that is no array": ("labels", np.array(5)),
    "a label without a name": ("labels", np.array([9, 9, 9, 9])),
    "an index that is no array": ("indices", np.array(5)),
    "predictions that are no array": ("clean", np.array(3)),
    "negative predictions": ("attacked", np.full((6, 4), -3, np.int16)),
    "predictions of fewer images": ("attacked", np.zeros((6, 2), np.int16)),
    "predictions that are no numbers": ("attacked", np.full((6, 4), np.nan)),
    "pairs of one": ("pairs", np.array(["x"])),
    "a class that is no array": ("classes", np.array(5)),
    "objects": ("classes", np.array([{"a": 1}], dtype=object)),
}
EXAMPLES: dict[str, tuple[str, Any]] = {
    "images of another type": ("images", np.array([["a"]])),
    "adversarial images that are texts": ("adversarial", np.array("x")),
    "predictions of another shape": ("predictions", np.zeros(3, np.int64)),
    "confidences that are texts": ("confidences", np.array(["x"])),
    "labels that are complex": ("labels", np.array([1j])),
    "a class that is no array": ("classes", np.array(5)),
    "a model that is no array": ("models", np.array(5)),
    "objects": ("targets", np.array([{"a": 1}], dtype=object)),
}


def replace_array(path: Path, key: str, array: Any) -> None:
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    np.savez(path, **{**arrays, key: array})


@pytest.mark.parametrize("case", OUTCOMES)
def test_foreign_outcomes_get_a_sentence(case: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    attack = copy_home(home)["attack"]
    replace_array(home / "runs" / attack / "outcomes.npz", *OUTCOMES[case])
    for words in (("classes", attack), ("classes", attack, "--json")):
        answer = advtui(home, *words)
        assert answer.code == 3, answer
        assert "has no outcomes of single images" in answer.stderr
        assert answer.stdout == ""
    assert advtui(home, "compare", attack).code == 0


@pytest.mark.parametrize("case", EXAMPLES)
def test_foreign_examples_get_a_sentence(case: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    attack = copy_home(home)["attack"]
    replace_array(home / "runs" / attack / "examples.npz", *EXAMPLES[case])
    answer = advtui(home, "examples", attack, "--png", str(tmp_path / "p.png"))
    assert answer.code == 3, answer
    assert "can't be read" in answer.stderr


def test_a_network_may_have_more_classes_than_names(tmp_path: Path) -> None:
    home = tmp_path / "home"
    attack = copy_home(home)["attack"]
    beyond = np.full((6, 4), 900, np.int16)
    replace_array(home / "runs" / attack / "outcomes.npz", "attacked", beyond)
    assert "class 900" in advtui(home, "classes", attack).stdout


def test_json_carries_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    home = tmp_path / "home"
    attack = copy_home(home)["attack"]
    names = np.array(["\x9b2J", "\u202ebear", "\x1b]0;owned\x07\x7f"])
    replace_array(home / "runs" / attack / "outcomes.npz", "classes", names)
    printed = advtui(home, "classes", attack, "--json").stdout
    assert "\\u009b2J" in printed
    assert "\\u202ebear" in printed
    assert not set(printed) & set("\x9b\u202e\x1b\x07\x7f")
