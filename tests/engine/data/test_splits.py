"""Digits and CIFAR-100, and their splits."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from crops import rng, rows
from engine.data.datasets import DataSplits, ensure_data, load
from engine.data.pictures import Pictures, to_float
from engine.data.splits import balanced, split_validation, stratified
from runs.errors import NotFoundError, UserError

# --- digits ----------------------------------------------------------------------------------


def test_digits_are_1797_images_of_ten_classes(digits: DataSplits) -> None:
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.classes == tuple("0123456789")
    for split in (digits.train, digits.test):
        assert split.images.dtype == torch.uint8
        assert split.images.shape == (len(split), 3, 32, 32)
        assert split.labels.dtype == split.indices.dtype == torch.int64
        assert split.indices.tolist() == list(range(len(split)))
        assert split.images.max() > 200  # the source's 0–16 is brought to 0–255
    assert torch.bincount(digits.test.labels).tolist() == [36] * 10
    assert not digits.flips


def test_digits_images_carry_their_own_labels(digits: DataSplits) -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    grey = torch.from_numpy(source.images).float()[:, None] / 16
    large = F.interpolate(grey, (32, 32), mode="bilinear", align_corners=False)
    pictures = (large * 255).round().to(torch.uint8).repeat(1, 3, 1, 1)
    of_image: dict[bytes, set[int]] = {}
    for picture, label in zip(pictures, source.target.tolist(), strict=True):
        of_image.setdefault(picture.numpy().tobytes(), set()).add(label)
    for split in (digits.train, digits.test):
        for picture, label in zip(split.images, split.labels.tolist(), strict=True):
            assert label in of_image[picture.numpy().tobytes()]
    assert rows(digits.train.images) | rows(digits.test.images) == set(of_image)


def test_digits_are_split_the_same_way_every_time(digits: DataSplits) -> None:
    again = load("digits", Path("elsewhere"), None)
    assert torch.equal(again.train.images, digits.train.images)
    assert torch.equal(again.test.labels, digits.test.labels)


def test_digits_are_normalised_to_about_zero_mean_and_unit_deviation(digits: DataSplits) -> None:
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (digits.mean, digits.std))
    normal = (to_float(digits.train.images) - mean) / std
    assert float(normal.mean()) == pytest.approx(0, abs=0.02)
    assert float(normal.std()) == pytest.approx(1, abs=0.15)


def test_digits_need_no_files(tmp_path: Path) -> None:
    ensure_data("digits", tmp_path / "home", None, lambda _done, _size: None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_the_data_set_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"cifar-100-python/train is missing"):
        ensure_data("cifar100", tmp_path, str(tmp_path), lambda _done, _size: None)


# --- splits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("per_class", [1, 20])
def test_train_validation_and_test_never_overlap(digits: DataSplits, per_class: int) -> None:
    training, validation = split_validation(digits.train, per_class, seed=0)
    assert torch.bincount(validation.labels).tolist() == [per_class] * 10
    places = training.indices.tolist() + validation.indices.tolist()
    assert sorted(places) == list(range(1437))
    for part in (training, validation):
        assert torch.equal(part.images, digits.train.images[part.indices])
        assert torch.equal(part.labels, digits.train.labels[part.indices])
    assert not rows(training.images) & rows(validation.images)
    assert not rows(digits.test.images) & rows(digits.train.images)


def test_the_validation_split_follows_the_seed(digits: DataSplits) -> None:
    def held_out(seed: int) -> list[int]:
        return split_validation(digits.train, 20, seed)[1].indices.tolist()

    assert held_out(0) == held_out(0)
    assert held_out(0) != held_out(1)


def test_a_limit_shrinks_training_and_leaves_validation(digits: DataSplits) -> None:
    whole, validation = split_validation(digits.train, 20, seed=0)
    limited, same = split_validation(digits.train, 20, seed=0, limit=205)
    assert torch.equal(same.indices, validation.indices)
    assert len(limited) == 205
    assert set(limited.indices.tolist()) < set(whole.indices.tolist())
    assert sorted(torch.bincount(limited.labels).tolist()) == [20] * 5 + [21] * 5


def test_stratified_takes_so_many_of_each_class_and_leaves_the_rest() -> None:
    labels = torch.tensor([2, 0, 1, 1, 0, 2, 2, 0, 1, 1, 0, 2])
    chosen, rest = stratified(labels, 2, rng())
    assert torch.bincount(labels[chosen]).tolist() == [2, 2, 2]
    assert sorted(chosen.tolist() + rest.tolist()) == list(range(12))
    assert chosen.tolist() == sorted(chosen.tolist())
    assert rest.tolist() == sorted(rest.tolist())
    assert any(stratified(labels, 2, rng(s))[0].tolist() != chosen.tolist() for s in range(1, 5))


@pytest.mark.parametrize("per_class", [3, 4])
def test_a_split_that_leaves_a_class_empty_is_refused(per_class: int) -> None:
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1])
    with pytest.raises(UserError, match="class 1 has only 3"):
        stratified(labels, per_class, rng())


# --- balanced --------------------------------------------------------------------------------


def numbered(labels: list[int]) -> Pictures:
    count = len(labels)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    return Pictures(images, torch.tensor(labels), torch.arange(count) + 50)


@pytest.mark.parametrize(
    ("labels", "limit", "places"),
    [
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], 3, [0, 3, 6]),
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], 4, [0, 1, 3, 6]),
        ([2, 1, 0, 2, 1, 0], 4, [0, 1, 2, 5]),
        ([0, 0, 0, 0, 1], 4, [0, 1, 2, 4]),  # a class runs out
        ([1, 0, 1], 1, [1]),
        ([1, 0, 1], 3, [0, 1, 2]),
        ([1, 0, 1], 99, [0, 1, 2]),
    ],
)
def test_balanced_takes_nearly_equally_many_a_class(
    labels: list[int], limit: int, places: list[int]
) -> None:
    chosen = balanced(numbered(labels), limit)
    assert (chosen.indices - 50).tolist() == places
    assert chosen.labels.tolist() == [labels[place] for place in places]
    assert chosen.images[:, 0, 0, 0].tolist() == places


# --- CIFAR-100 -------------------------------------------------------------------------------


@pytest.mark.cifar100
def test_cifar100_is_whole_and_splits_into_48k_training_and_2k_validation_images(
    cifar100: Path, tmp_path: Path
) -> None:
    ensure_data("cifar100", tmp_path, str(cifar100), lambda _done, _size: None)
    splits = load("cifar100", tmp_path, str(cifar100))
    assert (len(splits.train), len(splits.test), len(splits.classes)) == (50_000, 10_000, 100)
    assert splits.classes[0] == "apple"
    assert splits.classes[99] == "worm"
    assert splits.flips
    assert splits.train.images.shape == (50_000, 3, 32, 32)
    assert splits.train.images.dtype == torch.uint8
    assert torch.bincount(splits.train.labels).tolist() == [500] * 100
    assert torch.bincount(splits.test.labels).tolist() == [100] * 100
    pixels = to_float(splits.train.images[:5000])
    for found, told in zip(pixels.mean((0, 2, 3)).tolist(), splits.mean, strict=True):
        assert found == pytest.approx(told, abs=0.01)
    for found, told in zip(pixels.std((0, 2, 3)).tolist(), splits.std, strict=True):
        assert found == pytest.approx(told, abs=0.01)

    training, validation = split_validation(splits.train, 20, seed=0)
    assert (len(training), len(validation)) == (48_000, 2_000)
    assert torch.bincount(validation.labels).tolist() == [20] * 100
    assert not set(training.indices.tolist()) & set(validation.indices.tolist())
    hundred = balanced(splits.test, 100)
    assert sorted(hundred.labels.tolist()) == list(range(100))
