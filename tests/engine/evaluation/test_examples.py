"""Which images an attack run keeps: right when clean, of as many classes as possible."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.examples import places_to_keep


def test_images_that_every_model_reads_come_first_and_the_classes_take_turns() -> None:
    labels = [0, 0, 0, 1, 1, 2, 2]
    wrong = [0, 0, 0, 0, 2, 1, 2]
    assert places_to_keep(labels, wrong, 2) == [0, 3]
    assert places_to_keep(labels, wrong, 5) == [0, 3, 1, 2, 5]
    assert places_to_keep(labels, wrong, 7) == [0, 3, 1, 2, 5, 4, 6]
    assert places_to_keep(labels, wrong, 100) == places_to_keep(labels, wrong, 7)
    assert places_to_keep(labels, wrong, 0) == []


def test_too_few_right_ones_are_kept_and_not_given_up() -> None:
    """Before, one right image fewer than asked for meant the first images of the split."""
    labels = [0] * 20 + [1, 2, 3]
    wrong = [2] * 20 + [0, 0, 0]
    assert places_to_keep(labels, wrong, 4)[:3] == [20, 21, 22]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40), st.integers(0, 12))
def test_any_choice_has_the_least_wrong_and_the_most_classes(
    images: list[tuple[int, int]], count: int
) -> None:
    labels, wrong = [label for label, _ in images], [misread for _, misread in images]
    chosen = places_to_keep(labels, wrong, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(images))
    assert sorted(wrong[n] for n in chosen) == sorted(wrong)[: len(chosen)]
    assert [wrong[n] for n in chosen] == sorted(wrong[n] for n in chosen)
    right = Counter(labels[n] for n in chosen if wrong[n] == 0)
    available = {label for label, misread in images if misread == 0}
    assert len(right) == min(len(available), right.total())
