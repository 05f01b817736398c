"""Cutout and TrivialAugment: functions of (seed, epoch, batch number) and of nothing else."""

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.data.augmentation import cutout, trivial_augment
from engine.data.datamodule import PicturesOnDevice
from engine.data.pictures import Pictures
from engine.seeding import generator
from runs.spec import TrainSpec

FILL = (0.0, 0.5, 1.0)


def pictures(count: int, value: int | None = None) -> Tensor:
    if value is not None:
        return torch.full((count, 3, 32, 32), value, dtype=torch.uint8)
    rng = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, 32, 32), generator=rng, dtype=torch.uint8)


@pytest.mark.parametrize("size", [1, 7, 8, 32])
def test_cutout_cuts_one_square_of_its_size_less_what_lies_beyond_the_border(size: int) -> None:
    before = pictures(400, 77)
    after = cutout(before, generator(0, "test"), size=size, fill=FILL)
    assert after.dtype is torch.uint8
    assert after.shape == before.shape
    cut = (after != before).all(dim=1)
    assert torch.equal(cut, (after != before).any(dim=1))
    whole = 0
    for mask in cut:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        # One rectangle without holes, clipped by the border alone.
        assert int(mask.sum()) == len(rows) * len(columns)
        for places in (rows, columns):
            assert len(places) == int(places[-1] - places[0]) + 1
            assert len(places) == size or places[0] == 0 or places[-1] == 31
            assert size // 2 <= len(places) + (size == 1)
        whole += len(rows) == len(columns) == size
    assert whole > 0 if size < 32 else True
    colours = after.permute(0, 2, 3, 1)[cut]
    assert torch.equal(colours, torch.tensor([0, 128, 255], dtype=torch.uint8).expand_as(colours))


def test_the_centre_of_a_cut_may_be_any_pixel() -> None:
    after = cutout(pictures(20_000, 77), generator(0, "test"), size=1, fill=FILL)
    counts = (after[:, 0] == 0).sum(0)
    assert int(counts.sum()) == 20_000
    assert int(counts.min()) > 2  # 19.5 are expected, with a deviation of 4.4
    assert int(counts.max()) < 50


def test_trivial_augment_draws_for_every_eight_pictures_and_leaves_the_global_state() -> None:
    same = pictures(1).expand(64, -1, -1, -1)
    state = torch.get_rng_state()
    after = trivial_augment(same, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert (after.dtype, after.shape) == (torch.uint8, same.shape)
    kinds = [{picture.numpy().tobytes() for picture in few} for few in after.split(8)]
    assert {len(few) for few in kinds} == {1}  # eight neighbours share an operation
    assert len(set.union(*kinds)) > 4
    torch.rand(3)
    assert torch.equal(trivial_augment(same, 5), after)
    assert not torch.equal(trivial_augment(same, 6), after)


@pytest.mark.parametrize("augmentation", ["cutout", "trivial"])
def test_a_batch_is_a_function_of_seed_epoch_and_number(augmentation: Any) -> None:
    images = pictures(1).expand(48, -1, -1, -1)
    same = Pictures(images, torch.zeros(48).long(), torch.arange(48))
    spec = TrainSpec(data="digits", batch_size=8, augmentation=augmentation)

    def batch(epoch: int, number: int, **other: Any) -> bytes:
        data = PicturesOnDevice(same, same, spec.model_copy(update=other), flips=True)
        return bytes(data._train_batch(epoch, number)[0].contiguous().numpy().tobytes())

    first = batch(0, 0)
    assert batch(0, 0) == first
    others = [batch(0, 1), batch(1, 0), batch(0, 0, seed=1), batch(0, 0, augmentation="basic")]
    assert len({first, *others}) == 5
