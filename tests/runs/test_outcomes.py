"""Image by image: per class, paired comparison, and the file they come from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runs.errors import NotFoundError
from runs.intervals import mcnemar, paired
from runs.outcomes import Outcomes, per_class

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2], dtype=np.int16)
CLEAN = np.array([0, 0, 0, 1, 1, 1, 2, 2], dtype=np.int16)
ATTACKED = np.array([0, 1, 2, 1, 1, 0, 2, 0], dtype=np.int16)


def outcomes() -> Outcomes:
    return Outcomes(
        labels=LABELS,
        indices=np.arange(8) + 49_000,
        classes=["apple", "bear", "cup"],
        clean={"Best clean": CLEAN},
        attacked={("Best clean", "pgd-untargeted"): ATTACKED},
    )


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.npz"
    for known in (outcomes(), Outcomes(LABELS, np.arange(8), ["a", "b", "c"])):
        known.save(path)
        found = Outcomes.load(path)
        assert list(found.classes) == list(known.classes)
        np.testing.assert_array_equal(found.labels, known.labels)
        np.testing.assert_array_equal(found.indices, known.indices)
        assert found.clean.keys() == known.clean.keys()
        assert found.attacked.keys() == known.attacked.keys()
        for key, value in known.attacked.items():
            np.testing.assert_array_equal(found.attacked[key], value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["outcomes.npz"]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"not a zip"])
def test_what_is_missing_or_damaged_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "outcomes.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotFoundError, match="has no outcomes of single images"):
        Outcomes.load(path)


def test_each_class_has_its_rates_and_what_it_becomes() -> None:
    apple, bear, cup = per_class(outcomes(), "Best clean", "pgd-untargeted")
    assert (apple["n"], apple["correct_k"], apple["broken_k"], apple["robust_k"]) == (4, 3, 2, 1)
    assert apple["accuracy"] == 0.75
    assert apple["broken_rate"] == pytest.approx(2 / 3)
    assert apple["becomes"] == [{"class": "bear", "k": 1}, {"class": "cup", "k": 1}]
    assert bear["becomes"] == [{"class": "apple", "k": 1}]  # the one wrong when clean counts not
    assert (cup["accuracy"], cup["robust_accuracy"]) == (1.0, 0.0)
    interval = apple["accuracy_ci95"]
    assert interval is not None
    low, high = interval
    expected = stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_a_class_without_images_has_no_rates() -> None:
    known = outcomes()
    known.classes = [*known.classes, "dog"]
    dog = per_class(known, "Best clean", "pgd-untargeted")[3]
    assert (dog["n"], dog["accuracy"], dog["broken_rate"], dog["becomes"]) == (0, None, None, [])


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_test_of_the_discordant(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_images_is_neither_zero_nor_slow() -> None:
    assert mcnemar(6000, 3500) == pytest.approx(stats.binomtest(6000, 9500).pvalue, rel=1e-6)
    assert 0 < mcnemar(1500, 100) < 1e-300 or mcnemar(1500, 100) == 0.0
    assert mcnemar(5000, 5000) == 1.0


def test_the_paired_difference_and_its_interval() -> None:
    one = np.array([True] * 60 + [False] * 40)
    other = np.array([True] * 45 + [False] * 15 + [True] * 5 + [False] * 35)
    found: Any = paired(one, other)
    assert (found["n"], found["only_one"], found["only_other"]) == (100, 15, 5)
    assert found["difference"] == pytest.approx(0.10)
    # Agresti & Min (2005), with SciPy's own quantile.
    b, c, n = 15.5, 5.5, 102
    half = stats.norm.ppf(0.975) * np.sqrt(b + c - (b - c) ** 2 / n) / n
    assert found["ci95"] == pytest.approx(((b - c) / n - half, (b - c) / n + half))
    assert found["p"] == pytest.approx(stats.binomtest(15, 20).pvalue)
    turned = paired(other, one)
    assert turned["difference"] == -found["difference"]
    assert turned["p"] == found["p"]


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        both = rng.choice(4, size=200, p=[0.5, 0.12, 0.08, 0.3])  # both, only one, only other, none
        low, high = paired((both == 0) | (both == 1), (both == 0) | (both == 2))["ci95"]
        held += low <= 0.04 <= high
    assert 0.935 <= held / 2000 <= 0.975


def test_the_same_images_or_nothing() -> None:
    with pytest.raises(ValueError, match="not the same images"):
        paired(np.ones(3, bool), np.ones(4, bool))
    same = paired(np.ones(5, bool), np.ones(5, bool))
    assert (same["difference"], same["p"]) == (0.0, 1.0)
