"""Data sets, splits, augmentation and batches."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.batches import BatchNumbers, PicturesOnDevice
from engine.data import (
    DataSplits,
    Pictures,
    augment,
    balanced,
    ensure_data,
    epoch_order,
    load,
    split_validation,
    stratified,
    to_float,
)
from runs.errors import NotFoundError, UserError
from runs.spec import TrainSpec


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return load("digits", Path("nowhere"), None)


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


# --- augmentation ----------------------------------------------------------------------------


def all_crops(image: Tensor) -> dict[bytes, tuple[int, int, bool]]:
    """Every crop of the image padded by reflection, as is and mirrored."""
    padded = F.pad(image[None].float(), (4, 4, 4, 4), mode="reflect")[0].to(torch.uint8)
    _, height, width = image.shape
    found = {}
    for top in range(9):
        for left in range(9):
            crop = padded[:, top : top + height, left : left + width]
            found[crop.contiguous().numpy().tobytes()] = (top, left, False)
            found[crop.flip(2).contiguous().numpy().tobytes()] = (top, left, True)
    return found


def crops_of(images: Tensor, augmented: Tensor) -> Iterator[tuple[int, int, bool]]:
    for image, crop in zip(images, augmented, strict=True):
        yield all_crops(image)[crop.contiguous().numpy().tobytes()]  # KeyError: no crop


def noise_pictures(count: int, height: int = 32, width: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=rng(5), dtype=torch.uint8)


@pytest.mark.parametrize("flips", [True, False])
def test_augmented_images_are_crops_of_the_reflect_padded_image(flips: bool) -> None:
    images = noise_pictures(300)
    before = images.clone()
    augmented = augment(images, rng(1), flips=flips)
    assert augmented.dtype == torch.uint8
    assert augmented.shape == images.shape
    assert torch.equal(images, before)
    found = list(crops_of(images, augmented))
    for axis in (0, 1):
        counts = torch.bincount(torch.tensor([place[axis] for place in found]), minlength=9)
        assert counts.min() > 12  # 33 of each shift are expected, with a deviation of 5
        assert counts.max() < 60
    assert len({place[:2] for place in found}) > 60  # rows and columns move on their own
    mirrored = sum(place[2] for place in found)
    assert abs(mirrored - 150) < 40 if flips else mirrored == 0


def test_each_side_of_a_picture_is_reflected_by_its_own_size() -> None:
    images = noise_pictures(60, height=8, width=12)
    assert len(list(crops_of(images, augment(images, rng(2), flips=True)))) == 60


def test_augmentation_follows_its_generator() -> None:
    images = noise_pictures(20)
    first = augment(images, rng(1), flips=True)
    assert torch.equal(augment(images, rng(1), flips=True), first)
    assert not torch.equal(augment(images, rng(2), flips=True), first)


def test_crops_are_the_same_with_and_without_flips() -> None:
    images = noise_pictures(40)
    flipped = crops_of(images, augment(images, rng(1), flips=True))
    plain = crops_of(images, augment(images, rng(1), flips=False))
    # A mirrored crop counts its columns from the other side.
    for (top, left, mirrored), (top_plain, left_plain, _) in zip(flipped, plain, strict=True):
        assert (top, left) == (top_plain, left_plain), mirrored


def test_floats_are_the_pixels_over_255() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    floats = to_float(images)
    assert floats.dtype == torch.float32
    assert floats.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(floats, images.float() / 255)
    assert (floats.min(), floats.max()) == (0, 1)


# --- batches ---------------------------------------------------------------------------------


def test_an_epoch_visits_every_image_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(100, seed, epoch).tolist() for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert epoch_order(100, 0, 1).tolist() == orders[1]


def module_of(digits: DataSplits, *, flips: bool = False, **fields: Any) -> PicturesOnDevice:
    spec = TrainSpec(**{"data": "digits", "batch_size": 64, **fields})
    training, validation = split_validation(digits.train, 20, spec.seed)
    return PicturesOnDevice(training, validation, spec, flips=flips)


def cut(data: PicturesOnDevice, number: int, epoch: int = 0, training: bool = True) -> Any:
    data.trainer = SimpleNamespace(training=training, current_epoch=epoch)  # type: ignore[assignment]
    return data.on_after_batch_transfer(number, 0)


def test_a_training_batch_is_a_function_of_seed_epoch_and_number(digits: DataSplits) -> None:
    data = module_of(digits)
    wanted = [(0, 3), (1, 0), (0, 0), (1, 3), (0, 3)]
    seen = [cut(data, number, epoch) for epoch, number in wanted]
    for (epoch, number), batch in zip(wanted, seen, strict=True):
        fresh = cut(module_of(digits), number, epoch)  # no matter what came before
        assert all(torch.equal(one, other) for one, other in zip(batch, fresh, strict=True))
    places = [tuple(batch[2].tolist()) for batch in seen]
    assert len(set(places)) == 4
    assert places[0] == places[-1]
    assert tuple(cut(module_of(digits, seed=1), 3)[2].tolist()) not in places


@pytest.mark.parametrize("flips", [True, False])
def test_training_images_are_crops_of_the_images_that_their_indices_name(
    digits: DataSplits, flips: bool
) -> None:
    images, labels, indices = cut(module_of(digits, flips=flips), 2, epoch=1)
    assert images.dtype == torch.float32
    assert torch.equal(labels, digits.train.labels[indices])
    augmented = (images * 255).round().to(torch.uint8)
    originals = digits.train.images[indices]
    for original, crop in zip(originals, augmented, strict=True):
        places = all_crops(original)
        if not flips:
            places = {key: place for key, place in places.items() if not place[2]}
        assert crop.contiguous().numpy().tobytes() in places
    assert not torch.equal(augmented, originals)


def test_the_same_image_is_cropped_anew_in_another_epoch_and_batch() -> None:
    images = noise_pictures(8)
    same = Pictures(images[:1].expand(8, -1, -1, -1), torch.zeros(8).long(), torch.arange(8))
    spec = TrainSpec(data="digits", batch_size=2)
    data = PicturesOnDevice(same, same, spec, flips=True)
    crops = [cut(data, number, epoch)[0] for epoch in range(3) for number in range(4)]
    assert len({crop.numpy().tobytes() for crop in crops}) == 12


def test_without_augmentation_images_are_as_they_are(digits: DataSplits) -> None:
    images, _, indices = cut(module_of(digits, augment=False), 0)
    assert torch.equal(images, to_float(digits.train.images[indices]))


def test_an_epoch_has_whole_batches_only_and_no_image_twice(digits: DataSplits) -> None:
    data = module_of(digits)
    loader = data.train_dataloader()
    assert len(loader) == 1237 // 64
    batches = [cut(data, number) for number in loader]
    assert {len(batch[1]) for batch in batches} == {64}
    places = torch.cat([batch[2] for batch in batches]).tolist()
    assert len(set(places)) == len(places) == 64 * len(loader)


@pytest.mark.parametrize("batch_size", [32, 250, 300])
def test_validation_visits_every_image_once_in_order_as_it_is(
    digits: DataSplits, batch_size: int
) -> None:
    pictures = digits.train.subset(torch.arange(601))
    spec = TrainSpec(data="digits", batch_size=batch_size)
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    batches = [cut(data, number, training=False) for number in data.val_dataloader()]
    images, labels, indices = (torch.cat(part) for part in zip(*batches, strict=True))
    assert indices.tolist() == list(range(601))
    assert torch.equal(labels, pictures.labels)
    assert torch.equal(images, to_float(pictures.images))
    assert len(batches) == math.ceil(601 / max(batch_size, 250))


def test_batch_numbers_count_and_start_again_after_the_last() -> None:
    numbers = BatchNumbers(4)
    assert len(numbers) == 4
    assert list(numbers) == list(numbers) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("done", "expected"), [(0, [0, 1, 2, 3, 4]), (2, [2, 3, 4]), (4, [4]), (5, [0, 1, 2, 3, 4])]
)
def test_batch_numbers_go_on_where_a_saved_state_stands(done: int, expected: list[int]) -> None:
    first = BatchNumbers(5)
    iterator = iter(first)
    for _ in range(done):
        next(iterator)
    resumed = BatchNumbers(5)
    resumed.load_state_dict(first.state_dict())
    assert list(resumed) == expected
    assert list(resumed) == [0, 1, 2, 3, 4]  # the epoch after that is a whole one


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
