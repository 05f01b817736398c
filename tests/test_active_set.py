"""Images that are done leave the batch, which shrinks to few sizes."""

import pytest
import torch
from torch import Tensor

from engine.loop import Batch, Best, Step


def search(fooled: Tensor) -> tuple[Best, Batch]:
    """A search over as many images, of which these fool the model."""
    images = torch.zeros(len(fooled), 3, 2, 2)
    tracker = Best(images)
    tracker.fooled = fooled
    return tracker, Batch.whole(images, torch.zeros(len(fooled), dtype=torch.int64), None)


@pytest.mark.parametrize(
    ("left", "size"),
    [(0, 0), (1, 1), (3, 4), (17, 32), (33, 64), (64, 64), (150, 160), (230, None)],
)
def test_all_that_are_left_stay_and_few_others(left: int, size: int | None) -> None:
    fooled = torch.ones(250, dtype=torch.bool)
    fooled[torch.randperm(250, generator=torch.Generator().manual_seed(0))[:left]] = False
    tracker, batch = search(fooled)
    stay = tracker.staying(batch)
    if size is None:
        assert stay is None
        return
    assert stay is not None
    assert len(stay) == size
    assert len(stay.unique()) == size
    assert int((~fooled[stay]).sum()) == left


def test_a_batch_of_250_has_few_sizes() -> None:
    sizes = set()
    for left in range(1, 251):
        tracker, batch = search(torch.arange(250) >= left)
        stay = tracker.staying(batch)
        sizes.add(250 if stay is None else len(stay))
    assert len(sizes) <= 14


def test_what_fills_the_batch_up_is_neither_told_nor_changed() -> None:
    tracker, batch = search(torch.tensor([False, True, False]))
    points, loss = torch.ones(3, 3, 2, 2), torch.tensor([1.0, 9.0, 2.0])
    seen = Step(0, 1, points, batch.indices, loss, torch.tensor([False, False, True]))
    told = tracker.attacked(seen)
    assert told.indices.tolist() == [0, 2]
    assert told.loss.tolist() == [1.0, 2.0]
    tracker.see(seen, whole=False)
    assert tracker.points.amax(dim=(1, 2, 3)).tolist() == [1.0, 0.0, 1.0]
    assert tracker.fooled.tolist() == [False, True, True]
