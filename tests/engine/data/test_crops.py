"""Crops and flips, and pixels as floats."""

import pytest
import torch

from crops import crops_of, noise_pictures, rng
from engine.data.augmentation import augment
from engine.data.pictures import to_float


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
    assert (floats.min().item(), floats.max().item()) == (0, 1)
