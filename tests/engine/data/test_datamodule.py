"""Batches: an order for each epoch, the augmentation of each batch, the count of batches."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from crops import all_crops, noise_pictures
from engine.data.datamodule import BatchNumbers, PicturesOnDevice
from engine.data.datasets import DataSplits
from engine.data.pictures import Pictures, to_float
from engine.data.splits import epoch_order, split_validation
from runs.spec import TrainSpec


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
